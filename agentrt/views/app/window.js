// What belongs to the window and not to a pane: the address, the keyboard, and whether the manager still answers.
const KEYS = [
  ["/", "search runtimes"],
  ["space", "pause or resume: the runtime that is shown, on other pages all"],
  [".", "step: process one activity (on a runtime's page)"],
  ["[ ]", "the event before, the event after: the page as it was then"],
  ["o", "the first page"],
  ["s", "spotlight: the runtime that is shown, or the one with most waiting, for a whole class to see"],
  ["t", "larger type, for a projector, or as it was"],
  ["?", "this help"],
  ["Esc", "close it, or end the spotlight"],
]
const ASK = 1500 // milliseconds between two questions whether the manager is back
const LOOK = 50 // milliseconds between two looks for a field whose page is being drawn, and
const LOOKS = 200 // so many looks

const typing = (event) => {
  const node = event.composedPath()[0]
  return node.isContentEditable || (/^(INPUT|TEXTAREA|SELECT)$/.test(node.tagName) && node.type !== "range")
}
const onButton = (event) => /^(BUTTON|A|SUMMARY)$/.test(event.composedPath()[0].tagName)

function* everyNode(root) {
  for (const node of root.querySelectorAll("*")) {
    yield node
    if (node.shadowRoot) yield* everyNode(node.shadowRoot)
  }
}

function searchField() {
  for (const node of everyNode(document)) {
    if (node.tagName === "INPUT" && node.placeholder === "search runtimes" && node.offsetParent) return node
  }
}

// ---- the address

const FORGET = ["token", "runtime", "at", "moment", "spotlight"]
const WHEN = "?moment=" // an address ends with it, where it is of a moment that has passed

// The path of the first page. What is before it in the browser's address, a proxy may have put there.
const rootOf = ({root, paths}) => paths ? new URL(root, document.baseURI).pathname : location.pathname

function url(base, {paths, address, spotlight}) {
  const rest = new URLSearchParams(location.search)
  FORGET.forEach((name) => rest.delete(name))
  const [page, moment] = address.split(WHEN)
  if (!paths && page) rest.set("at", page)
  if (moment) rest.set("moment", moment)
  if (spotlight) rest.set("spotlight", spotlight)
  const search = rest.toString()
  return (paths ? base + page : base) + (search ? `?${search}` : "")
}

function read(base, {paths}) {
  const query = new URLSearchParams(location.search), moment = query.get("moment")
  const page = paths ? location.pathname.slice(base.length) : query.get("at") ?? ""
  return page + (moment ? WHEN + moment : "")
}

// What stays the same from one tab of a runtime to the next, and from one moment to another.
const place = (address) => {
  const page = address.split(WHEN)[0]
  return /^(?!activity)[^/]+\/(.+)/.exec(page)?.[1] ?? page
}

// ---- the help and the notice

function box(className, role, label) {
  const node = document.createElement("div")
  node.className = className
  node.hidden = true
  node.setAttribute("role", role)
  if (label) node.setAttribute("aria-label", label)
  return node
}

function help() {
  const node = box("help", "dialog", "keyboard")
  const list = document.createElement("dl")
  for (const [key, words] of KEYS) {
    const name = document.createElement("dt"), means = document.createElement("dd"), cap = document.createElement("kbd")
    cap.textContent = key
    name.append(cap)
    means.textContent = words
    list.append(name, means)
  }
  const title = document.createElement("h3"), close = document.createElement("button")
  title.textContent = "Keyboard"
  close.textContent = "Close"
  close.addEventListener("click", () => { node.hidden = true })
  node.append(title, list, close)
  return node
}

// ---- light or dark: `theme.js` says which, and the page of Panel is set to it until somebody presses its button

function followTheme(view, theme) {
  const page = view.model.document.roots().map((root) => root.data).find((data) => data?.dark_theme !== undefined)
  if (!theme || !page) return () => {}
  const set = () => { page.dark_theme = theme.dark() }
  const onPreferred = () => { if (!theme.chosen()) set() }
  const onChange = () => { if (page.dark_theme !== theme.dark()) theme.choose(page.dark_theme) }
  set()
  page.properties.dark_theme.change.connect(onChange)
  theme.preferred.addEventListener("change", onPreferred)
  return () => {
    page.properties.dark_theme.change.disconnect(onChange)
    theme.preferred.removeEventListener("change", onPreferred)
  }
}

// ---- larger type: on every page of this browser until it is pressed again, or where the address has `type=large`

const TYPE = "agentrt-type", LARGE = 1.4

function largeType() {
  try {
    return localStorage.getItem(TYPE) ?? new URLSearchParams(location.search).get("type")
  } catch {
    return new URLSearchParams(location.search).get("type") // the browser stores nothing
  }
}

function setType(type) {
  document.documentElement.style.setProperty("--agentrt-type", type === "large" ? LARGE : 1)
  try {
    localStorage.setItem(TYPE, type)
  } catch { /* the browser stores nothing */ }
}

// ---- the manager

async function instance(health) {
  try {
    const answer = await fetch(health, {cache: "no-store"})
    return answer.ok ? (await answer.json()).instance : null
  } catch {
    return null
  }
}

export function render({model, view}) {
  const root = document.createElement("div")
  const base = rootOf(model)
  const lost = box("lost", "alert")
  const keys = help()
  root.append(lost, keys)

  const show = () => {
    const wanted = url(base, model)
    if (wanted !== location.pathname + location.search) {
      const secret = new URLSearchParams(location.search).has("token") // it has been used; an address may be copied
      const stays = place(read(base, model)) === place(model.address) // back leads to the page before, not through its tabs
      history[secret || stays ? "replaceState" : "pushState"]({}, "", wanted)
    }
    document.title = model.name_of_page
  }
  const back = () => model.send_msg({do: "go", with: read(base, model)})
  const focus = (tries) => {
    const field = searchField()
    if (field) field.focus()
    else if (tries) setTimeout(() => focus(tries - 1), LOOK)
  }
  const receive = (message) => { if (message.focus) focus(LOOKS) }

  const onKey = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event)) return
    if (event.key === "Escape") {
      if (keys.hidden && model.spotlight) model.send_msg({do: "key", with: event.key})
      keys.hidden = true
    }
    else if (event.key === "?") {
      keys.hidden = !keys.hidden
      if (!keys.hidden) keys.querySelector("button").focus()
    } else if (event.key === "/") {
      const field = searchField()
      if (field) field.focus()
      else model.send_msg({do: "key", with: "/"})
    } else if (event.key === " " && onButton(event)) return
    else if (event.key === "t") setType(largeType() === "large" ? "normal" : "large")
    else if ([" ", ".", "o", "s", "[", "]"].includes(event.key)) model.send_msg({do: "key", with: event.key})
    else return
    event.preventDefault()
  }

  let asking = null
  const ask = async () => {
    const answer = await instance(model.health)
    if (answer) location.reload()
    else asking = setTimeout(ask, ASK)
  }
  const onConnectionLost = () => {
    if (asking !== null || !model.health) return
    lost.textContent = "Connection lost; waiting for the manager. This page comes back by itself."
    lost.hidden = false
    asking = setTimeout(ask, ASK)
  }

  let leaving = false
  const onUnload = () => { leaving = true }
  if (largeType() === "large") setType("large")
  const forgetTheme = followTheme(view, window.agentrtTheme)
  view.model.document?.on_event("connection_lost", () => { if (!leaving) onConnectionLost() })
  document.addEventListener("keydown", onKey)
  window.addEventListener("popstate", back)
  window.addEventListener("beforeunload", onUnload)
  model.on("address", show)
  model.on("name_of_page", show)
  model.on("spotlight", show)
  model.on("msg:custom", receive)
  model.on("remove", () => {
    document.removeEventListener("keydown", onKey)
    window.removeEventListener("popstate", back)
    window.removeEventListener("beforeunload", onUnload)
    clearTimeout(asking)
    forgetTheme()
  })
  show()
  return root
}
