// Return what a reader finds and can do: headings, folded parts, links, forms, fields and buttons. Numbers are left out,
// because live ones change.
() => {
  const text = (each) => (each.innerText ?? each.textContent).replace(/\d[\d.,:]*/g, "#").replace(/\s+/g, " ").trim();
  const isSeen = (each) => each.checkVisibility({ visibilityProperty: true });
  const seen = (selector) => [...document.querySelectorAll(selector)].filter(isSeen);
  return [
    ...seen("h1, h2, h3, h4, h5, h6, th, summary").map((each) => `${each.localName} ${text(each)}`),
    ...seen("a[href]").map((each) => `link ${each.getAttribute("href")}`),
    ...seen("form").map((each) => `form ${each.getAttribute("method") ?? "get"} ${each.getAttribute("action")}`),
    ...seen("button, input:not([type=hidden]), select, textarea").map((each) => `${each.localName} ${each.name} ${text(each)}`),
  ];
}
