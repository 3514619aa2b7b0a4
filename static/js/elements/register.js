// @ts-check
import { ChoiceGroup } from "./choice-group.js";
import { MenuButton } from "./menu-button.js";

customElements.define("choice-group", ChoiceGroup);
customElements.define("menu-button", MenuButton);
