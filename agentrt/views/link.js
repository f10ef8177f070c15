// In JupyterLab a browser may reach the machine of the kernel through jupyter-server-proxy only. Where that is there and
// a server answers behind it at the port of a link, the link leads through it; elsewhere it stays as it is.
const PROXY = "@jupyterhub/jupyter-server-proxy"

function jupyter() {
  const data = document.getElementById("jupyter-config-data")?.textContent
  return data ? JSON.parse(data) : {}
}

async function behindProxy(port) {
  const {baseUrl, federated_extensions: extensions = []} = jupyter()
  if (!baseUrl || !extensions.some(({name}) => name === PROXY)) return {}
  const front = new URL(`${baseUrl.replace(/\/$/, "")}/proxy/${port}/`, location.href).href
  const answer = await fetch(`${front}health`, {cache: "no-store"})
  if (!answer.ok) return {status: answer.status}
  return (await answer.json()).instance ? {front} : {}
}

function frontOf(port) {
  const fronts = (globalThis.agentrtFronts ??= new Map())
  if (!fronts.has(port)) fronts.set(port, behindProxy(port).catch(() => ({})))
  return fronts.get(port)
}

// What was found out about a port is asked again with `anew`, when a cell has run again.
function leadThroughProxy(root, anew = false) {
  if (anew) globalThis.agentrtFronts = new Map()
  for (const link of root.querySelectorAll("a[data-port]")) {
    frontOf(link.dataset.port).then(({front, status}) => {
      const {pathname, search, port} = new URL(link.href)
      if (front && port === link.dataset.port) link.href = front + pathname.slice(1) + search
      const hint = root.querySelector("[data-host-hint]")
      if (hint && status === 403) hint.textContent = ` · to open it here: manager.serve(hosts=["${location.hostname}"])`
    })
  }
}
