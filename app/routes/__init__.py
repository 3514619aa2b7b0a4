"""HTTP calls, one file per thing they are about. Routes translate; they compute nothing."""
