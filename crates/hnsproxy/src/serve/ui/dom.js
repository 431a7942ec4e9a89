// Builds elements, and updates the DOM in place, so that focus, selection and scroll positions are kept.

const SVG = "http://www.w3.org/2000/svg";

function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  // Strings become text nodes, so that data is never parsed as HTML.
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

function show(target, ...children) {
  morphChildren(target, fill(document.createElement("div"), null, children));
}

function key(node) {
  return node.dataset?.key;
}

function isSame(one, other) {
  return one.nodeName === other.nodeName && key(one) === key(other);
}

function morph(old, wanted) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== wanted.data) old.data = wanted.data;
    return;
  }
  for (const { name } of [...old.attributes]) if (!wanted.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of wanted.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  morphChildren(old, wanted);
}

function morphChildren(parent, wanted) {
  const keep = new Set([...wanted.children].map(key));
  const keyed = new Map();
  for (const child of [...parent.children]) {
    if (key(child) === undefined) continue;
    if (keep.has(key(child))) keyed.set(key(child), child);
    else child.remove();
  }
  let next = parent.firstChild;
  for (const child of [...wanted.childNodes]) {
    const found = key(child) === undefined ? next : keyed.get(key(child));
    if (!found || !isSame(found, child)) {
      parent.insertBefore(child, next);
    } else {
      if (found === next) next = next.nextSibling;
      else parent.insertBefore(found, next);
      morph(found, child);
    }
  }
  while (next) {
    const after = next.nextSibling;
    next.remove();
    next = after;
  }
}
