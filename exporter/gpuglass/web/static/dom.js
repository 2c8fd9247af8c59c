// Small helpers. Text from outside only ever becomes text, never markup.

/** An element with attributes and children; what is null or undefined is left out. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Sets text only where it is another one: what is selected or being read aloud stays. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Sets an attribute only where it is another one; null removes it. */
export function setAttribute(node, name, value) {
  if (value === null || value === undefined) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) {
    node.setAttribute(name, value);
  }
}

/**
 * Makes the children of a list those of `items`, in their order, and keeps the nodes that stay.
 *
 * @param {Element} list The parent.
 * @param {Array} items What is to be shown.
 * @param {(item) => string} key Tells one from the other.
 * @param {(item) => Element} create Makes the node of a new one.
 * @param {(node: Element, item) => void} update Fills it.
 */
export function reconcile(list, items, key, create, update) {
  const old = new Map([...list.children].map((node) => [node.dataset.key, node]));
  let place = list.firstElementChild;
  for (const item of items) {
    const name = key(item);
    let node = old.get(name);
    if (node) {
      old.delete(name);
    } else {
      node = create(item);
      node.dataset.key = name;
    }
    if (node === place) place = place.nextElementSibling;
    else list.insertBefore(node, place);
    update(node, item);
  }
  for (const node of old.values()) node.remove();
}
