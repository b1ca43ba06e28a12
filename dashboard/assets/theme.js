// The theme before the first paint: what was chosen here last, else what the system prefers.
// A cookie tells the server, so that figures arrive in the right colours.
(function () {
  "use strict";
  const system = window.matchMedia("(prefers-color-scheme: dark)");

  function chosen() {
    try { return localStorage.getItem("theme"); } catch { return null; }
  }

  function apply() {
    const theme = chosen() || (system.matches ? "dark" : "light");
    document.documentElement.dataset.bsTheme = theme;
    document.documentElement.dataset.agThemeMode = theme;
    document.cookie = `theme=${theme}; path=/; max-age=31536000; samesite=strict`;
    const button = document.getElementById("theme-switch");
    if (button) button.setAttribute("aria-pressed", String(theme === "dark"));
    document.dispatchEvent(new CustomEvent("themechange", { detail: theme }));
  }

  window.dashboardTheme = {
    apply,
    toggle() {
      const next = document.documentElement.dataset.bsTheme === "dark" ? "light" : "dark";
      try { localStorage.setItem("theme", next); } catch { /* a browser that keeps nothing forgets it */ }
      apply();
    },
  };
  system.addEventListener("change", apply);
  apply();
})();
