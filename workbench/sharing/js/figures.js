// Figures are drawn from their JSON once plotly.js is there; their text takes the colour of the page.
const NARROW = 560; // pixels below which the title of an axis takes two lines
const { figures, themes } = JSON.parse(document.getElementById("page-data").textContent);

function drawFigures() {
  const boxes = [...document.querySelectorAll("[data-figure]")];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const colours = () => (dark.matches ? themes.dark : themes.light);
  const failed = (box) => {
    box.style.minHeight = "0";
    box.replaceChildren(element("p", { class: "failed" }, "This figure cannot be drawn; its numbers are below."));
    box.parentNode.querySelector("details")?.setAttribute("open", "");
  };
  for (const box of boxes) {
    const figure = figures[Number(box.dataset.figure)];
    const layout = { ...figure.layout, autosize: true };
    delete layout.width;
    if (box.clientWidth < NARROW && layout.xaxis?.title?.text) {
      const text = layout.xaxis.title.text.replace(" (", "<br>(");
      layout.xaxis = { ...layout.xaxis, title: { ...layout.xaxis.title, text } };
    }
    Promise.resolve()
      .then(() => Plotly.newPlot(box, figure.data, layout, { displaylogo: false, responsive: true, displayModeBar: false }))
      .then(() => Plotly.relayout(box, colours()))
      .catch(() => failed(box));
  }
  dark.addEventListener("change", () => boxes.forEach((box) => box.data && Plotly.relayout(box, colours())));
}

drawFigures();
