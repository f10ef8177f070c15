// HTML that is updated in place: what did not change keeps its focus, its selection and its open details.
const BANNED = "script, iframe, object, embed, link, meta, base, form"

// All text is escaped before it gets here. As a second guard, remove every element and attribute that could run code.
function scrub(fragment) {
  fragment.querySelectorAll(BANNED).forEach((node) => node.remove())
  fragment.querySelectorAll("*").forEach((node) => {
    for (const {name, value} of [...node.attributes]) {
      const runs = name.startsWith("on") || ((name === "href" || name === "src") && !/^[/?#.]|^https?:/.test(value))
      if (runs) node.removeAttribute(name)
    }
  })
  return fragment
}

function parse(html) {
  const template = document.createElement("template")
  template.innerHTML = html
  return scrub(template.content)
}

function adopt(have, want) {
  if (have.nodeType === Node.TEXT_NODE) {
    if (have.data !== want.data) have.data = want.data
    return
  }
  if (have.nodeType !== Node.ELEMENT_NODE) return // a comment says nothing
  for (const {name} of [...have.attributes]) {
    if (!want.hasAttribute(name) && name !== "open") have.removeAttribute(name)
  }
  for (const {name, value} of [...want.attributes]) {
    if (name !== "open" && have.getAttribute(name) !== value) have.setAttribute(name, value)
  }
  morph(have, want)
}

const alike = (have, want) => have.nodeType === want.nodeType && have.nodeName === want.nodeName
const key = (node) => node.dataset?.key

function morph(parent, wanted) {
  const keyed = new Map([...parent.children].filter(key).map((node) => [key(node), node]))
  const kept = new Set([...wanted.children].map(key))
  // Gone first: then what comes after it is where it belongs, and what is not moved keeps its focus.
  for (const [name, node] of keyed) if (!kept.has(name)) node.remove()
  let at = 0
  for (const want of [...wanted.childNodes]) {
    let have = parent.childNodes[at]
    const known = keyed.get(key(want))
    if (known && known !== have) { parent.insertBefore(known, have ?? null); have = known }
    if (have && alike(have, want) && key(have) === key(want)) adopt(have, want)
    else if (!have || key(want) || key(have)) parent.insertBefore(want, have ?? null)
    else parent.replaceChild(want, have)
    at += 1
  }
  while (parent.childNodes.length > at) parent.lastChild.remove()
}

// Each piece replaces the element of its key, which is in the page already.
function patch(box, pieces) {
  const keyed = new Map([...box.querySelectorAll("[data-key]")].map((node) => [key(node), node]))
  for (const [name, html] of Object.entries(pieces)) {
    const have = keyed.get(name)
    const want = parse(html).firstElementChild
    if (have && want) adopt(have, want)
  }
}

export function render({model}) {
  const box = document.createElement("div")
  box.className = "live"
  let revealed = "", focusedFor = ""
  const draw = () => {
    const focused = box.getRootNode().activeElement
    morph(box, parse(model.html))
    const lost = focused && box.contains(focused) && box.getRootNode().activeElement !== focused
    if (lost) focused.focus({preventScroll: true})
    leadThroughProxy(box)
    // What has just been opened, in a list that scrolls.
    const opened = box.querySelector("[data-reveal]")
    if (opened && opened.dataset.reveal !== revealed) opened.scrollIntoView({block: "nearest"})
    revealed = opened?.dataset.reveal ?? ""
    const asks = box.querySelector("[data-focus]")
    if (asks && asks.dataset.focus !== focusedFor) asks.focus({preventScroll: true})
    focusedFor = asks?.dataset.focus ?? ""
  }
  model.on("html", draw)
  model.on("msg:custom", (message) => patch(box, message.pieces))
  draw()
  const act = (event) => {
    const target = event.target.closest("[data-do]")
    if (!target) return
    if (target.tagName === "A") {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return // in a tab of its own
      event.preventDefault()
    }
    model.send_msg({do: target.dataset.do, with: target.dataset.with ?? ""})
  }
  box.addEventListener("click", act)
  return box
}
