/* The elements of the page: the canvas, the texts around it, and the help below. */

const HELP = [
  ["Click, or Space at the cross", "on the object"],
  ["Right or Shift click, long press, Shift+Space", "not on the object"],
  ["Drag, or B at both corners", "box around the object"],
  ["1 2 3, N", "choose among the candidates"],
  ["Enter", "accept"],
  ["Escape", "discard"],
  ["Ctrl+Z, Ctrl+Shift+Z", "undo, redo"],
  ["E, or Ctrl click", "pick the object there, to change it"],
  ["Delete", "delete the picked object"],
  ["Wheel (after a click here, or with Ctrl), pinch, + -", "zoom"],
  ["Middle or Alt drag, two fingers, Shift+arrows", "move the view"],
  ["0", "see all"],
  ["Arrows", "move the cross"],
  ["Page up and down (with Shift: the other axis)", "next plane"],
  ["O, P", "outlines or fill, preview on or off"],
];

function make(tag, name, parent) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  parent.appendChild(node);
  return node;
}

export class Elements {
  constructor(parent) {
    this.root = make("div", "napari-sam", parent);
    this.frame = make("div", "nsam-frame", this.root);
    this.canvas = make("canvas", "nsam-canvas", this.frame);
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "application");
    this.hint = make("div", "nsam-hint", this.frame);
    this.hint.hidden = true;
    this.position = make("div", "nsam-position", this.frame);
    this.status = make("div", "nsam-status", this.root);
    this.status.setAttribute("role", "status");
    this.error = make("div", "nsam-error", this.root);
    this.error.setAttribute("role", "alert");
    this.help = make("details", "nsam-help", this.root);
    this.fillHelp();
    this.style = make("style", "", this.root);
  }

  fillHelp() {
    make("summary", "", this.help).textContent = "Mouse and keys";
    const table = make("table", "", this.help);
    for (const [keys, what] of HELP) {
      const row = make("tr", "", table);
      make("th", "", row).textContent = keys;
      make("td", "", row).textContent = what;
    }
  }

  /* The image's name; what has this class is a picture for pages without a kernel,
   * which is not needed beside the real thing.
   */
  nameImage(name, marker) {
    this.canvas.setAttribute(
      "aria-label",
      `Image ${name}. Click objects to segment them; the arrow keys move a cross, ` +
        "Space clicks there, Enter accepts. All keys are listed below.",
    );
    this.style.textContent = marker ? `.${marker} { display: none; }` : "";
  }

  showError(text) {
    this.error.textContent = text || "";
    this.error.hidden = !text;
  }

  /* A point of the plane; null: the mouse is not over it. */
  showPosition(at) {
    this.position.textContent = at ? `y ${Math.floor(at[0])}, x ${Math.floor(at[1])}` : "";
  }

  toggleHelp() {
    this.help.open = !this.help.open;
  }

  /* As many pixels of the screen as it covers; false: it is not in the page yet. */
  fitCanvas(height) {
    this.frame.style.height = `${height}px`;
    const rect = this.canvas.getBoundingClientRect();
    if (!rect.width || !rect.height) return false;
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.max(Math.round(rect.width * ratio), 1);
    this.canvas.height = Math.max(Math.round(rect.height * ratio), 1);
    return true;
  }
}
