// The module of a widget of anywidget: it gives a view, see `view.js`, the connection that it needs to the kernel.
// The page's theme: marimo's names of its colours, under the names that Panel's components ask for.
const COLOURS = {"--panel-surface-color": "var(--background)", "--panel-on-background-color": "var(--foreground)"}
const isDark = () => (document.body.dataset.theme === undefined ? undefined : document.body.dataset.theme === "dark")
const shared = (window.agentrtWidgets ??= {}) // one view of the page after the other asks for texts

export default {
  render({model, el}) {
    const page = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`
    const send = (data) => model.send({page, data})
    const comm = {open: send, send}
    const hear = ({page: to, data}) => {
      if (to === page) comm.onMsg?.({content: {data}})
    }
    model.on("msg:custom", hear)
    for (const [name, value] of Object.entries(COLOURS)) el.style.setProperty(name, value)
    el.innerHTML = model.get("still")
    const script = document.createElement("script")
    el.firstElementChild.append(script)
    view(script, model.get("view"), model.get("words"), {shared, isDark, createComm: () => comm})
    return () => {
      model.off("msg:custom", hear)
      send({bye: "closes"})
    }
  },
}
