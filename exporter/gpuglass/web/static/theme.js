// Before anything is drawn: the theme that was chosen here last. A classic script, as modules wait.
(() => {
  const root = document.documentElement;
  let chosen = "system";
  try {
    chosen = localStorage.getItem("gpuglass-theme") || "system";
  } catch {
    // Storage may be switched off: then each visit begins with the system's theme.
  }
  root.dataset.theme = chosen;
})();
