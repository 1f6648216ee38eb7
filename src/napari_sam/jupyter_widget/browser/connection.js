/* The line to the kernel; tells the user when it is silent for long. */

const SILENCE_MS = 8000;
const UNANSWERED = new Set(["view", "arrived", "hover"]); // a view, by its tiles if any
const HINT =
  "The kernel does not answer: it is busy, or it was restarted. If it was, run " +
  "this cell again; it goes on from the labels on disk.";

export class Connection {
  constructor(model, timers, hint, onBack) {
    this.model = model;
    this.timers = timers;
    this.hint = hint;
    this.onBack = onBack;
  }

  send(content) {
    if (!UNANSWERED.has(content.type)) this.expectAnswer();
    try {
      this.model.send(content);
    } catch (error) {
      this.showSilence();
    }
  }

  expectAnswer() {
    this.timers.later("silence", SILENCE_MS, () => this.showSilence());
  }

  /* The kernel has sent something. */
  onAnswer() {
    this.timers.stop("silence");
    if (this.hint.hidden) return;
    this.hint.hidden = true;
    this.onBack();
  }

  /* Without an answer in time, the state is requested: a line that broke may have
   * swallowed the one for which the page still waits.
   */
  awaitState(isPending) {
    if (isPending) this.requestState();
    else this.timers.stop("again");
  }

  requestState() {
    this.timers.later("again", SILENCE_MS, () => {
      this.send({ type: "again" });
      if (this.model.get("state").pending || !this.hint.hidden) this.requestState();
    });
  }

  showSilence() {
    this.hint.hidden = false;
    this.hint.textContent = HINT;
    this.requestState();
  }
}
