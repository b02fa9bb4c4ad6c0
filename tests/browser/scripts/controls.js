// Begin to note which controls get the focus, and return their number. rule.missed() returns the others.
() => {
  const FOCUSABLE = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]";
  const REACHABLE = FOCUSABLE.replace("[tabindex]", "[tabindex]:not([tabindex='-1'])");
  const show = (each) => each.outerHTML.slice(0, 150);
  const isSeen = (each) => each.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true });
  const isControl = (each) => !each.disabled && each.getAttribute("tabindex") !== "-1" && isSeen(each);
  const controls = new Set();
  const groups = new Set();
  for (const each of document.querySelectorAll(FOCUSABLE)) {
    if (!isControl(each)) continue;
    if (each.type === "radio") {
      // The arrow keys reach the others of a group.
      if (groups.has(each.name)) continue;
      groups.add(each.name);
    }
    controls.add(each);
  }
  const reached = new Set();
  const unseen = new Set();
  document.addEventListener("focusin", ({ target }) => {
    reached.add(target.type === "radio" ? [...controls].find((each) => each.name === target.name) : target);
    const style = getComputedStyle(target);
    const hasOutline = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
    if (!hasOutline && style.boxShadow === "none") unseen.add(target);
  });
  const byMouse = [...document.querySelectorAll("body *")].filter(
    (each) =>
      (getComputedStyle(each).cursor === "pointer" || each.matches("[hx-get], [hx-post], [onclick], [role=button]")) &&
      isSeen(each) && !each.disabled && !each.closest(REACHABLE) && !each.closest("label"),
  );
  window.rule = {
    missed: () => [
      ...[...controls].filter((each) => !reached.has(each)).map((each) => `the focus misses ${show(each)}`),
      ...[...unseen].map((each) => `the focus is not visible on ${show(each)}`),
      ...byMouse.filter((each) => !byMouse.includes(each.parentElement)).map((each) => `only the mouse reaches ${show(each)}`),
    ],
  };
  return controls.size;
}
