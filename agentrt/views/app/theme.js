// Whether the page is to be dark: as its address says, as a person has chosen here, else as the browser prefers.
// It runs before anything is drawn, so that a dark page is never white at first.
window.agentrtTheme = {
  key: "agentrt-theme",
  preferred: matchMedia("(prefers-color-scheme: dark)"),
  chosen() {
    const asked = new URLSearchParams(location.search).get("theme")
    try {
      return asked ?? localStorage.getItem(this.key)
    } catch {
      return asked // the browser stores nothing
    }
  },
  dark() {
    const chosen = this.chosen()
    return chosen ? chosen === "dark" : this.preferred.matches
  },
  choose(dark) {
    try {
      localStorage.setItem(this.key, dark ? "dark" : "light")
    } catch { /* the browser stores nothing */ }
  },
}
if (agentrtTheme.dark()) {
  const first = "color-scheme: dark; --mui-palette-background-default: #121212; --mui-palette-text-primary: #fff"
  document.head.insertAdjacentHTML("beforeend", `<style>:where(:root) { ${first} }</style>`)
}
