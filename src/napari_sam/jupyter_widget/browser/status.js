/* The line below the canvas, in words. */

export function describe(state, facts) {
  if (!state.prompts) return "Opening...";
  const parts = [];
  [...(facts.axes || "")].forEach((axis, i) => {
    // Counted as by the slider and by widget.plane.
    parts.push(`${axis} ${state.plane[i]} (0 to ${facts.counts[i] - 1})`);
  });
  if (state.pending) parts.push("segmenting...");
  else if (state.scores.length) parts.push(describeCandidate(state));
  else if (state.prompts.length) parts.push("no object seen there");
  if (state.target) parts.push(`changing object ${state.target}`);
  parts.push(state.objects === 1 ? "1 object" : `${state.objects} objects`);
  if (state.notice) parts.push(state.notice);
  return parts.join(" · ");
}

function describeCandidate({ scores, chosen }) {
  const count = scores.length;
  const which = count > 1 ? `candidate ${chosen + 1} of ${count}` : "candidate";
  return `${which}, score ${scores[chosen].toFixed(2)}: Enter accepts`;
}
