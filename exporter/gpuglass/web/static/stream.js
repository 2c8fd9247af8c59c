// The one connection to the exporter: kept, renewed when it breaks, and replaced by asking now and
// then where it is refused.

const RETRY_SECONDS = [1, 2, 3, 5];
// A page that nobody sees lets go of the exporter after a while.
const HIDDEN_SECONDS = 60;

export class Stream {
  /**
   * @param {{history: Function, snapshot: Function, state: Function}} listeners They take a
   *   document, a document, and the state: "live", "polling", "lost", "refused" or "paused".
   */
  constructor(listeners) {
    this.listeners = listeners;
    this.failures = 0;
    this.interval = 1;
    // How much has come: what was asked for before the newest is old.
    this.taken = 0;
    document.addEventListener("visibilitychange", () => this.look());
    window.addEventListener("pagehide", () => this.close());
    window.addEventListener("pageshow", (event) => event.persisted && this.open());
    this.open();
  }

  open() {
    this.close();
    const source = new EventSource("api/v1/stream");
    this.source = source;
    source.addEventListener("history", (event) => this.listeners.history(JSON.parse(event.data)));
    source.addEventListener("snapshot", (event) => {
      this.failures = 0;
      this.take(JSON.parse(event.data), "live");
      this.watch();
    });
    source.onerror = () => this.fail();
    this.watch();
  }

  close() {
    clearTimeout(this.timer);
    clearTimeout(this.watchdog);
    this.source?.close();
    this.source = null;
  }

  take(document, state) {
    this.taken++;
    this.interval = document.interval;
    this.listeners.state(state);
    this.listeners.snapshot(document);
  }

  /** Something comes at each reading, and every 15 s at least; if not, the connection is dead. */
  watch() {
    clearTimeout(this.watchdog);
    const seconds = Math.min(8 + 2 * this.interval, 40);
    this.watchdog = setTimeout(() => this.fail(), seconds * 1000);
  }

  fail() {
    this.close();
    const seconds = RETRY_SECONDS[Math.min(this.failures, RETRY_SECONDS.length - 1)];
    this.failures++;
    this.timer = setTimeout(() => this.open(), seconds * 1000);
    this.ask();
  }

  /** Where streams are refused, as when too many pages are open, each retry brings a snapshot. */
  async ask() {
    const taken = this.taken;
    let state = "lost";
    let facts = null;
    try {
      const answer = await fetch("api/v1/snapshot", {
        cache: "no-store",
        signal: AbortSignal.timeout(4000),
      });
      if (answer.ok) facts = await answer.json();
      else if (answer.status === 401 || answer.status === 403) state = "refused";
    } catch {
      // Nobody answers: lost.
    }
    // A new attempt may be under way: a machine that is gone refuses nothing, and lets each wait.
    if (taken !== this.taken) return;
    if (facts) this.take(facts, "polling");
    else this.listeners.state(state);
  }

  look() {
    clearTimeout(this.hiding);
    if (document.hidden) {
      this.hiding = setTimeout(() => {
        this.close();
        this.taken++;
        this.listeners.state("paused");
      }, HIDDEN_SECONDS * 1000);
    } else if (!this.source) {
      this.open();
    }
  }
}
