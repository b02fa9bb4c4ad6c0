// Return what a reader finds and can do: headings, links, fields, forms and buttons. A control of htmx that no link and
// no form replaces is named as such, and so differs.
() => {
  const text = (each) => (each.innerText ?? each.textContent).replace(/\d[\d.,:]*/g, "#").replace(/\s+/g, " ").trim();
  const isSeen = (each) => each.checkVisibility({ visibilityProperty: true });
  const submits = (each) => each.form?.getAttribute("action") && each.type === "submit";
  const hasFallback = (each) =>
    each.matches("a[href], form[action], [hx-sse\\:connect]") || submits(each);
  const uses = [];
  for (const each of document.querySelectorAll("h1, h2, h3, h4, h5, h6, th, summary")) {
    if (isSeen(each)) uses.push(`${each.localName} ${text(each)}`);
  }
  for (const each of document.querySelectorAll("a[href]")) {
    if (isSeen(each)) uses.push(`link ${each.getAttribute("href")}`);
  }
  for (const each of document.querySelectorAll("form")) {
    uses.push(`form ${each.getAttribute("method") ?? "get"} ${each.getAttribute("action")}`);
  }
  for (const each of document.querySelectorAll("button, input:not([type=hidden]), select, textarea")) {
    if (isSeen(each)) uses.push(`${each.localName} ${each.name} ${text(each)}`);
  }
  const needsScript = [...document.querySelectorAll("[hx-get], [hx-post]")].filter((each) => !hasFallback(each));
  const isEnabled = "htmx" in window;
  return uses.concat(needsScript.map((each) => `${isEnabled ? "with" : "without"} script: ${each.outerHTML.slice(0, 150)}`));
}
