// Return the elements whose request only htmx sends: no link, and no form with an address, does the same.
() => {
  const hasFallback = (each) =>
    each.matches("a[href], form[action]") || (each.type === "submit" && each.form?.hasAttribute("action"));
  return [...document.querySelectorAll("[hx-get], [hx-post]")]
    .filter((each) => !hasFallback(each))
    .map((each) => each.outerHTML.slice(0, 150));
}
