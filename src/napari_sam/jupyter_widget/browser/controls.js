/* What ipywidgets do not tell a screen reader: sliders' names, which toggle is down. */

const nameOf = (part) => part.querySelector(".widget-label").textContent.trim();

function nameSlider(part) {
  const name = nameOf(part);
  const handles = part.querySelectorAll("[role=slider]");
  handles.forEach((handle, i) => {
    const end = handles.length > 1 ? [", from", ", to"][i] : "";
    handle.setAttribute("aria-label", `${name}${end}`);
  });
  const readout = part.querySelector(".widget-readout");
  if (readout) {
    readout.setAttribute("role", "textbox");
    readout.setAttribute("aria-label", `${name}, as a number`);
  }
}

function nameToggles(part) {
  part.setAttribute("role", "group");
  part.setAttribute("aria-label", nameOf(part));
  for (const button of part.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", button.classList.contains("mod-active"));
  }
}

function nameControls(around) {
  around.querySelectorAll(".widget-slider").forEach(nameSlider);
  around.querySelectorAll(".widget-toggle-buttons").forEach(nameToggles);
}

/* Name the controls around the canvas, and again whenever they change; returns what
 * ends that, or null where there are none yet.
 */
export function followControls(root) {
  const around = root.closest(".nsam-widget");
  if (!around) return null;
  const observer = new MutationObserver(() => nameControls(around));
  const options = { subtree: true, childList: true, attributeFilter: ["class"] };
  observer.observe(around, options);
  nameControls(around);
  return () => observer.disconnect();
}
