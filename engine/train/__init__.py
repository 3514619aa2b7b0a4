"""How every bundled model was made: recipes, data, one loop, scoring."""
