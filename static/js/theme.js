// A plain script, before the first paint, so that a chosen theme never flashes the other one.
(() => {
  const asked = new URLSearchParams(location.hash.slice(1)).get("theme");
  let kept = null;
  try {
    kept = localStorage.getItem("headlight-theme");
  } catch {
    // Storage may be forbidden; the system's wish is then good enough.
  }
  const theme = asked ?? kept;
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
