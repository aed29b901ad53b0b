// One WebSocket that is opened again whenever it is lost, for ever.
const SILENT_MS = 6000; // the server says something every second
const LONGEST_WAIT_MS = 8000;

export class Connection {
  // on: {about, news, picture(number, blob), state(name, detail)}
  constructor(on) {
    this.on = on;
    this.tries = 0;
    this.wanted = { watch: [], large: null };
    this.open();
    addEventListener("online", () => this.retry());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.retry();
    });
  }

  // Which streams' pictures are wanted, and which of them large.
  want(watch, large) {
    this.wanted = { watch, large };
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(this.wanted));
  }

  retry() {
    if (!this.timer) return;
    clearTimeout(this.timer);
    this.open();
  }

  open() {
    this.timer = null;
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/live`);
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.listen();
      this.want(this.wanted.watch, this.wanted.large);
    };
    socket.onmessage = (event) => {
      if (socket !== this.socket) return;
      this.listen();
      this.take(event.data);
    };
    socket.onclose = (event) => {
      if (socket === this.socket) this.lost(event.code === 1001);
    };
    this.listen(); // opening must not take for ever either
  }

  listen() {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => {
      const socket = this.socket;
      this.lost(false);
      socket.close();
    }, SILENT_MS);
  }

  take(data) {
    if (typeof data === "string") {
      const message = JSON.parse(data);
      if (message.kind === "about") {
        this.tries = 0;
        this.on.state("open");
        this.on.about(message);
      } else {
        this.on.news(message);
      }
      return;
    }
    const number = new DataView(data).getUint32(0);
    this.on.picture(number, new Blob([new Uint8Array(data, 4)], { type: "image/jpeg" }));
  }

  async lost(ended) {
    clearTimeout(this.watchdog);
    this.socket = null;
    const wait_ms = Math.min(500 * 2 ** this.tries++, LONGEST_WAIT_MS) * (0.8 + 0.4 * Math.random());
    this.timer = setTimeout(() => this.open(), wait_ms);
    if (ended) this.ended = true;
    const [state, detail] = await why();
    if (this.socket?.readyState === WebSocket.OPEN) return;
    if (state !== "down") this.ended = false;
    this.on.state(this.ended && state === "down" ? "ended" : state, detail);
  }
}

// A browser does not tell why a WebSocket was refused; the server does.
async function why() {
  try {
    const answer = await fetch("/session", { signal: AbortSignal.timeout(3000) });
    if (answer.status === 401) return ["locked", ""];
    return answer.ok ? ["lost", ""] : ["refused", (await answer.text()).trim()];
  } catch {
    return ["down", ""];
  }
}
