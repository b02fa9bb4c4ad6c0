// Return the outermost elements that reach beyond the right edge, if the page scrolls sideways.
() => {
  const root = document.documentElement;
  if (root.scrollWidth <= root.clientWidth) return [];
  const wide = [...document.querySelectorAll("body *")].filter(
    (each) => each.getBoundingClientRect().right > root.clientWidth + 1,
  );
  return wide.filter((each) => !wide.includes(each.parentElement)).map((each) => each.outerHTML.slice(0, 150));
}
