// The start page: both languages stand in it; this shows the reader's, and keeps language and theme for the dashboards.

function showReaders() {
  const language = readLanguage();
  const theme = readTheme();
  document.documentElement.lang = language;
  document.documentElement.dataset.theme = theme;
  for (const text of document.querySelectorAll("span[lang]:not(.visually-hidden)")) text.hidden = text.lang !== language;
  for (const word of document.querySelectorAll("[data-theme-word]")) word.hidden = word.dataset.themeWord === theme;
  for (const button of document.querySelectorAll(".languages button")) button.setAttribute("aria-pressed", String(button.lang === language));
  for (const link of document.querySelectorAll("[data-keeps-hash]")) link.hash = location.hash;
  document.title = document.querySelector("h1 span:not([hidden])").textContent;
}

function chooseHere(changes) {
  writeState(changes);
  showReaders();
}

for (const button of document.querySelectorAll(".languages button")) button.addEventListener("click", () => chooseHere({ lang: button.lang }));
document.getElementById("theme").addEventListener("click", () => chooseHere({ theme: readTheme() === "dark" ? "light" : "dark" }));
addEventListener("popstate", showReaders);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showReaders);
showReaders();
