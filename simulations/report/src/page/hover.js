// Tells each series' value at the pointer, in every chart at once. All of it is in the tables too.
(() => {
  const root = document.documentElement;
  const plots = [...document.querySelectorAll(".plot[data-n]")].map((p) => {
    const figure = p.closest("figure");
    const values = [...figure.querySelectorAll(".now")].map((e) => [e, e.dataset.v.split(" ")]);
    return { n: +p.dataset.n, length: +p.dataset.s, clock: figure.querySelector(".clock"), values };
  });
  const show = (share) => {
    root.classList.toggle("at", share >= 0);
    root.style.setProperty("--at", share);
    for (const p of plots) {
      const i = Math.min(p.n - 1, Math.floor(share * p.n));
      const s = share * p.length;
      const two = (n) => String(Math.floor(n)).padStart(2, "0");
      const clock = s < 3600 ? Math.floor(s / 60) + ":" + two(s % 60) : Math.floor(s / 3600) + ":" + two(s / 60 % 60) + ":" + two(s % 60);
      p.clock.textContent = share < 0 ? "" : "at " + clock;
      for (const [e, v] of p.values) e.textContent = share < 0 ? "" : v[i];
    }
  };
  let waiting = false;
  let share = -1;
  const move = (e) => {
    const plot = e.type === "pointermove" && e.target.closest(".plot");
    const box = plot && plot.getBoundingClientRect();
    share = box ? Math.min(1, Math.max(0, (e.clientX - box.left) / box.width)) : -1;
    if (!waiting) requestAnimationFrame(() => { waiting = false; show(share); });
    waiting = true;
  };
  addEventListener("pointermove", move);
  addEventListener("pointerleave", move);
})();
