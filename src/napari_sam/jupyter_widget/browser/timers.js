/* Timers by name: one of a name runs at a time, and none after the end. */

export class Timers {
  constructor() {
    this.running = {};
    this.isClosed = false;
  }

  later(name, delay, act) {
    if (this.running[name]) return;
    this.running[name] = setTimeout(() => {
      this.running[name] = null;
      if (!this.isClosed) act();
    }, delay);
  }

  stop(name) {
    clearTimeout(this.running[name]);
    this.running[name] = null;
  }

  close() {
    this.isClosed = true;
    for (const timer of Object.values(this.running)) clearTimeout(timer);
  }
}
