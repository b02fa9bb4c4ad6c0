// Return the elements with scripts or styles of their own, and with attributes of htmx that need eval.
() => {
  const isOwn = ({ name, value }) =>
    name.startsWith("on") || name.startsWith("hx-on") || name === "hx-live" || name === "style" || /^\s*(javascript|js):/i.test(value);
  return [...document.querySelectorAll("*")]
    .filter((each) => each.matches("script:not([src]), style") || [...each.attributes].some(isOwn))
    .map((each) => each.outerHTML.slice(0, 150));
}
