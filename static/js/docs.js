// @ts-check
/** The page of the API: Swagger UI over this server's own description. */

const host = /** @type {HTMLElement} */ (document.getElementById("calls"));
const { SwaggerUIBundle } = /** @type {any} */ (window);

/** Numbers a person can read, unless they chose a format. @param {{headers: Record<string, string>}} request */
function readable(request) {
  if (request.headers.accept === "*/*") request.headers.accept = "application/json, */*;q=0.1";
  return request;
}

// Swagger UI's own dark look hangs on a class: it follows the theme that was chosen, else the system's.
const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");
const dress = () => root.classList.toggle("dark-mode", root.dataset.theme === "dark" || (root.dataset.theme !== "light" && system.matches));
system.addEventListener("change", dress);
dress();

const back = document.createElement("a");
back.href = "../";
back.textContent = "← Headlight";
back.className = "back";
host.before(back);

SwaggerUIBundle({
  domNode: host,
  url: host.dataset.openapi,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null, // it would ask another host
  requestInterceptor: readable,
});
