// A view in the output of a cell: a picture, and in its place the live view for as long as the kernel answers.
//
// The live view is not in the saved output. It comes from the kernel, see `channel.py`: once whole, and then each change
// as a frame with a number. A page that misses a number, or can't apply a frame, asks for the whole again. Long texts
// come piece by piece, see `texts.py`: for all views of a kernel together, one piece is on its way to the page.
((script, id, words, given) => {
  const TARGET = "agentrt.view"
  const TICK = 500 // milliseconds; all other times are counted in ticks, which do not go on while the page can't listen
  const PING = 10 // until a page that hears nothing asks whether it is up to date
  const SOON = [7, 14], AGAIN = 60 // when it asks again: one question may wait behind a cell that runs
  const PATIENCE = 20, SHORT = 6 // until it says that there is no answer
  const REST = 120 // until a view that is not in the page is dropped
  // Properties that the theme of a page sets. They are its own affair: another page may have another theme.
  const THEMED = /^(dark_theme|color_mode|dilate|stylesheets|axis_label_standoff)$|_(color|alpha|font|font_size|font_style)$/
  const box = script.parentElement
  const [picture, note, live] = box.children
  const texts = (window.agentrtTexts ??= new Map()) // modules and styles, each once for all views of the page
  const turns = (window.agentrtTurns ??= new WeakMap()) // the end of the last turn to ask for texts, by kernel
  let kernel = null, comm = null, opened = false, ended = false
  let shown = null, frame = 0
  let asked = false // for the whole
  let wanted = null // the piece that was asked for
  let pending = false // something was asked that was not answered yet
  let stale = false // it has to ask when it is in the page again
  let quiet = 0, unanswered = 0, away = 0
  let timer = null
  let work = Promise.resolve()
  const rules = new WeakMap() // by style sheet

  // Plots of Bokeh listen to the viewport and never stop, so that they would keep the whole view: what they pass is
  // added to these lists.
  const recording = (window.agentrtListeners ??= record())

  function record() {
    const lists = new Set()
    const add = visualViewport.addEventListener
    visualViewport.addEventListener = function (...listener) {
      for (const list of lists) list.push(listener)
      return add.apply(this, listener)
    }
    return lists
  }

  const connected = () => connection() !== undefined // no longer, once the kernel was restarted
  const apart = () => kernel === null && window.PyViz === undefined
  const loaded = () => window.Bokeh?.Panel !== undefined
  const want = () => ({want: true, texts: [...texts.keys()], scripts: !loaded()})

  // Panel's code in JupyterLab keeps a connection for each view. It does not run in Voilà, whose widgets have one.
  // A widget that shows the view gives one that it has.
  function connection() {
    if (given !== undefined) return given
    const {name, widgetManager} = window.jupyterapp ?? {}
    if (name !== "Voila") return window.PyViz?.kernels?.[id]
    const kernel = widgetManager?.kernel ?? undefined
    return kernel?.status === "dead" ? undefined : kernel
  }

  function send(data) {
    if (opened) comm.send(data)
  }

  function ask() {
    stale = !box.isConnected
    if (asked || stale) return
    asked = pending = true
    send(want())
  }

  function connect() {
    if (comm === null) {
      kernel = connection()
      comm = kernel.connectToComm?.(TARGET) ?? kernel.createComm(TARGET)
      comm.onMsg = ({content}) => {
        quiet = unanswered = 0
        pending = false
        if (content.data.text !== undefined) return receive(content.data)
        if (content.data.ended) end()
        work = work.then(() => take(content.data)).catch(lost).then(mark)
      }
    }
    if (comm.active === false) return
    comm.open({view: id, ...want()})
    opened = asked = pending = true
  }

  function end() {
    ended = true
    fail("the view has ended")
  }

  function lost(error) {
    if (ended) return
    if (connected()) console.warn("agentrt: a view is drawn again:", error)
    asked = false
    ask()
  }

  async function take(data) {
    if (data.roots) await show(data)
    else if (shown !== null && !asked) {
      const next = data.events === undefined ? frame : frame + 1
      if (data.frame !== next) ask()
      else if (data.events) await apply(data)
    }
  }

  async function apply(data) {
    frame = data.frame
    if (data.texts.length) {
      await inTurn(() => bring(data.texts))
      send({has: data.texts, offer: data.offer})
    }
    const events = JSON.parse(data.events, reader(shown.suffix))
    if (events.length) shown.document.apply_json_patch({events})
    box.dataset.frame = frame
  }

  // One view of the kernel after the other asks for texts.
  function inTurn(action) {
    const way = kernel.shared ?? kernel
    const turn = (turns.get(way) ?? Promise.resolve()).then(() => (ended || !box.isConnected ? null : action()))
    turns.set(way, turn.catch(() => {}))
    return turn
  }

  async function bring(names) {
    for (const name of names) if (!texts.has(name)) texts.set(name, await read(name))
  }

  async function bringWhole(data) {
    if (starts()) {
      const elements = []
      for (const [kind, name, type] of data.scripts) elements.push([kind, await read(name), type])
      if (starts()) start(elements)
    }
    const once = [data.document, data.roots]
    const [rest, roots] = [await read(once[0]), await read(once[1])]
    await bring(data.texts)
    send({has: [...once, ...data.texts, ...data.scripts.map(([, name]) => name)], offer: data.offer})
    return {rest, roots}
  }

  async function read(text) {
    let whole = ""
    for (let piece = 0; ; piece += 1) {
      const {part, last} = await new Promise((take, fail) => {
        wanted = {question: {text, piece}, take, fail}
        pending = true
        send(wanted.question)
      })
      whole += part
      if (last) return whole
    }
  }

  function receive({text, piece, part, last}) {
    if (wanted?.question.text !== text || wanted.question.piece !== piece) return
    if (part === undefined) return fail("a text is not there any more")
    const {take} = wanted
    wanted = null
    take({part, last})
  }

  function fail(message) {
    const given = wanted
    wanted = null
    given?.fail(new Error(message))
  }

  // The names of models get an end that is unique in the page, which may show a view twice.
  function reader(suffix) {
    return (key, value) => {
      if (key === "id" && typeof value === "string") return value + suffix
      if (key === "dark_theme") return isDark() ?? value // else it is drawn light at first
      if ((key !== "esm" && key !== "css") || value?.text === undefined) return value
      if (!texts.has(value.text)) throw new Error("a text is missing")
      return texts.get(value.text)
    }
  }

  // The theme of JupyterLab, or of what shows the widget; undefined where there is none.
  function isDark() {
    if (given !== undefined) return given.isDark()
    const light = document.body.dataset.jpThemeLight
    return light === undefined ? undefined : light === "false"
  }

  function writer(suffix) {
    return (key, value) => {
      if (key === "id" && typeof value === "string" && value.endsWith(suffix)) return value.slice(0, -suffix.length)
      if (value?.buffer instanceof ArrayBuffer) return btoa(String.fromCharCode(...new Uint8Array(value.buffer)))
      return value
    }
  }

  async function show(data) {
    asked = false
    const whole = await inTurn(() => bringWhole(data))
    if (ended) return
    stale = whole === null
    if (stale) return
    while (!loaded()) await new Promise((done) => setTimeout(done, 50))
    stale = !box.isConnected
    if (stale) return
    const suffix = `x${(window.agentrtShown = (window.agentrtShown ?? 0) + 1)}`
    const json = {...JSON.parse(whole.rest), roots: JSON.parse(whole.roots, reader(suffix))}
    const root = json.roots[0].id
    const place = document.createElement("div")
    place.id = `agentrt-${suffix}`
    live.hidden = false
    live.append(place)
    const {documents, embed} = window.Bokeh
    const at = documents.length
    const listeners = []
    recording.add(listeners)
    const embedded = embed.embed_items_notebook({view: json}, [
      {docid: "view", roots: {[root]: place}, root_ids: [root]}, // not by its id: it may be in a shadow root
    ])
    const before = shown
    shown = {document: documents[at], suffix, place, listeners}
    frame = data.frame
    follow(shown) // before it is drawn, as that changes it
    drop(before)
    await embedded.finally(() => recording.delete(listeners))
    box.dataset.frame = frame
  }

  const starts = () => !loaded() && !window.agentrtLoading

  function start(elements) {
    if (!elements.length) return
    window.agentrtLoading = true
    for (const [kind, text, type] of elements) {
      const element = document.createElement(kind)
      if (type) element.type = type
      element.textContent = text
      document.head.append(element)
    }
  }

  // What is done in the page goes to the kernel.
  function follow(view) {
    let changes = []
    let timer = null
    const flush = () => {
      timer = null
      if (shown === view) send({patch: JSON.stringify(view.document.create_json_patch(changes), writer(view.suffix))})
      changes = []
    }
    view.document.on_change((event) => {
      const events = (event.events ?? [event]).filter(
        ({sync, model, attr}) =>
          sync !== false && (attr === undefined || (model.properties[attr].syncable && !THEMED.test(attr))),
      )
      changes.push(...events)
      if (changes.length) timer ??= setTimeout(flush, 30)
    })
  }

  function drop(view) {
    if (view === null) return
    const {index} = window.Bokeh
    const drawn = [...index.roots].filter(({model}) => model.document === view.document)
    view.document.clear({sync: false})
    for (const each of drawn.filter((each) => index.roots.includes(each))) {
      each.remove() // the place of its notifications, which is no root
      index.delete(each)
    }
    const at = window.Bokeh.documents.indexOf(view.document)
    if (at >= 0) window.Bokeh.documents.splice(at, 1)
    for (const listener of view.listeners) visualViewport.removeEventListener(...listener)
    view.place.remove()
  }

  // JupyterLab takes an output that is hidden out of the page. A style sheet that was written rule by rule, as Material
  // UI does it, is empty when it comes back.
  function keepStyles() {
    for (const view of shown?.document.views_manager?.query((view) => view.mui_cache) ?? []) {
      for (const style of view.style_cache.querySelectorAll("style")) {
        if (style.textContent || !style.sheet) continue
        const kept = rules.get(style) ?? []
        const has = style.sheet.cssRules
        if (has.length < kept.length) kept.forEach((text, at) => style.sheet.insertRule(text, at))
        else if (has.length > kept.length) rules.set(style, [...has].map((rule) => rule.cssText))
      }
    }
  }

  // Of two changes of the theme that come while a part is drawn, the second one is lost on it: what sets the property to
  // the first one runs later than what hears of the second, and is heard in turn.
  function keepTheme() {
    const dark = isDark()
    if (dark === undefined) return
    for (const {data} of shown?.document.all_models ?? []) {
      if (data?.dark_theme === !dark) data.dark_theme = dark
    }
  }

  function reason() {
    if (ended) return "ended"
    if (!connected()) return apart() ? "apart" : "gone"
    return shown === null ? "saved" : "silent"
  }

  function mark() {
    const silent = ended || unanswered >= (shown !== null && connected() ? PATIENCE : SHORT)
    picture.hidden = shown !== null
    live.hidden = shown === null
    live.inert = silent
    live.style.opacity = silent ? 0.6 : ""
    note.hidden = !silent
    if (silent) note.textContent = words[reason()]
    box.dataset.state = silent ? "silent" : shown ? "live" : "waiting"
  }

  function listen() {
    if (!opened && !ended && connected()) connect()
    quiet += 1
    if (ended || !opened || (!pending && quiet < (connected() ? PING : 2))) return
    if (!pending || SOON.includes(unanswered) || unanswered % AGAIN === AGAIN - 1) {
      send(wanted?.question ?? (asked ? want() : {ping: true}))
    }
    pending = true
  }

  function tick() {
    if (wanted !== null && !connected()) fail("the kernel was restarted or has ended")
    if (box.isConnected) {
      if (stale || (away > 0 && shown === null)) ask() // it may have been away between two ticks
      if (away > 0) quiet = PING
      away = 0
      listen()
      if (pending || !opened) unanswered += 1
      mark()
      keepStyles()
      keepTheme()
    } else if (ended || ++away === REST) {
      rest()
    }
  }

  // Nothing of a view that is not in the page stays behind, nor does anything look after it until it is there again.
  function rest() {
    if (shown !== null && !ended) send({bye: "rests"})
    drop(shown)
    shown = null
    clearInterval(timer)
    timer = null
    if (ended) {
      removeEventListener("pagehide", leave)
      if (comm !== null) comm.onMsg = undefined // the kernel connection keeps the comm, and a function of here keeps all this
    }
    mark()
  }

  function watch() {
    timer ??= setInterval(tick, TICK)
  }

  function leave() {
    send({bye: "closes"})
    opened = false // nothing after that: its answer would come to the next page
    ended = true
  }

  addEventListener("pagehide", leave)
  // Hidden, or shown again.
  new ResizeObserver(() => {
    if (!box.isConnected) return
    keepStyles()
    watch()
  }).observe(box)
  note.hidden = true
  watch()
  setTimeout(tick)
})
