// Light or dark: as the system has it, until somebody chooses.
const KEY = "ecolite-theme";
const ORDER = ["system", "light", "dark"];

function chosen() {
  try {
    const theme = localStorage.getItem(KEY);
    return ORDER.includes(theme) ? theme : "system";
  } catch {
    return "system"; // no storage: private windows
  }
}

export function applyTheme(theme = chosen()) {
  const root = document.documentElement;
  if (theme === "system") delete root.dataset.theme;
  else root.dataset.theme = theme;
  return theme;
}

export function themeSwitch(button) {
  let theme = applyTheme();
  const show = () => {
    button.textContent = { system: "◐ Auto", light: "☀ Light", dark: "☾ Dark" }[theme];
    button.setAttribute("aria-label", `Colours: ${theme}; change`);
  };
  button.addEventListener("click", () => {
    theme = applyTheme(ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length]);
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // then it lasts as long as the page
    }
    show();
  });
  show();
}
