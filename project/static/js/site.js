// Makes pages nicer; every page works without it.
document.documentElement.classList.add("js");

// Copy buttons: <button class="copy" data-copy="text">.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  const label = button.querySelector("[data-label]") ?? button;
  const before = label.textContent;
  label.textContent = "Copied";
  setTimeout(() => { label.textContent = before; }, 1500);
});

// Picking rows: a box in the head picks all, the bar says how many.
function countPicked(form) {
  const boxes = [...form.querySelectorAll("input[data-pick]")];
  const picked = boxes.filter((box) => box.checked).length;
  const all = form.querySelector("input[data-pick-all]");
  if (all) {
    all.checked = picked > 0 && picked === boxes.length;
    all.indeterminate = picked > 0 && picked < boxes.length;
  }
  const said = form.querySelector("[data-picked]");
  if (said) said.textContent = picked ? `${picked} selected` : "None selected";
}
document.addEventListener("change", (event) => {
  const form = event.target.form;
  if (!form) return;
  if (event.target.matches("[data-pick-all]")) {
    for (const box of form.querySelectorAll("input[data-pick]")) box.checked = event.target.checked;
  }
  if (event.target.matches("[data-pick], [data-pick-all]")) countPicked(form);
});
for (const box of document.querySelectorAll("input[data-pick-all]")) countPicked(box.form);

// A form with a save bar remembers that something is not saved yet.
document.addEventListener("input", (event) => {
  event.target.form?.matches("[data-guard]") && (event.target.form.dataset.changed = "");
});
document.addEventListener("submit", (event) => { delete event.target.dataset.changed; });
addEventListener("beforeunload", (event) => {
  if (document.querySelector("form[data-changed]")) event.preventDefault();
});

// One key for one thing: <a data-key="j">, <button data-key="a">.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input, select, textarea, [contenteditable]")) return;
  const target = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!target) return;
  event.preventDefault();
  target.matches("a, button") ? target.click() : target.focus();
});
