// Fills the theme's menu of versions from the list that lies beside them. The theme itself would fetch a JSON, which a
// page that is opened from a folder can't.
const up = `${document.documentElement.dataset.content_root}../`

function option(each, page, current) {
  const link = document.createElement("a")
  link.className = "dropdown-item list-group-item list-group-item-action py-1"
  link.setAttribute("role", "option")
  link.setAttribute("aria-selected", String(each.version === current))
  link.classList.toggle("active", each.version === current)
  link.href = `${up}${each.url}${each.pages.includes(page) ? page : "index"}.html`
  link.textContent = each.name
  return link
}

function fill() {
  const page = DOCUMENTATION_OPTIONS.pagename, current = DOCUMENTATION_OPTIONS.VERSION.split(".").slice(0, 2).join(".")
  const own = window.docsVersions.find((each) => each.version === current)
  document.querySelectorAll(".version-switcher__button").forEach((button) => {
    button.textContent = own?.name ?? current
  })
  document.querySelectorAll(".version-switcher__menu").forEach((menu) => {
    menu.append(...window.docsVersions.map((each) => option(each, page, current)))
  })
}

document.addEventListener("DOMContentLoaded", () => {
  const list = document.createElement("script")
  list.src = `${up}switcher.js`
  list.onload = fill
  list.onerror = () => document.querySelectorAll(".version-switcher__container").forEach((menu) => menu.remove())
  document.head.append(list)
})
