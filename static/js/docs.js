// @ts-check
/** The page of the API: Swagger UI over this server's own description. */

const host = /** @type {HTMLElement} */ (document.getElementById("calls"));
const { SwaggerUIBundle } = /** @type {any} */ (window);

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
});
