// Where two images differ: the largest difference of a pixel's channels, made so bright that the largest shows white.
const DIFFERENCE_SIDE = 2048; // pixels; larger images are compared at this size

function differenceOf(one, other) {
  const shrink = Math.min(1, DIFFERENCE_SIDE / Math.max(one.naturalWidth, one.naturalHeight));
  const width = Math.max(1, Math.round(one.naturalWidth * shrink));
  const height = Math.max(1, Math.round(one.naturalHeight * shrink));
  const pixels = (image) => {
    const canvas = element("canvas", { width, height });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0, width, height);
    return context.getImageData(0, 0, width, height).data;
  };
  const [a, b] = [pixels(one), pixels(other)];
  const largest = new Uint8Array(width * height);
  let most = 0;
  let changed = 0;
  for (let i = 0, at = 0; i < largest.length; i += 1, at += 4) {
    const value = Math.max(Math.abs(a[at] - b[at]), Math.abs(a[at + 1] - b[at + 1]), Math.abs(a[at + 2] - b[at + 2]));
    largest[i] = value;
    if (value > most) most = value;
    if (value > 0) changed += 1;
  }
  const canvas = element("canvas", { width, height });
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const gain = most ? 255 / most : 1;
  for (let i = 0, at = 0; i < largest.length; i += 1, at += 4) {
    image.data.fill(Math.round(largest[i] * gain), at, at + 3);
    image.data[at + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  return { canvas, said: differenceSaid(one, other, { most, gain, shrink, share: changed / largest.length }) };
}

function differenceSaid(one, other, { most, gain, shrink, share }) {
  const size = (image) => `${image.naturalWidth}×${image.naturalHeight}`;
  const said = most
    ? [`${share < 0.001 ? "under 0.1" : (share * 100).toFixed(1)}% of pixels differ, by at most ${most} of 255; shown ×${gain.toFixed(1)}`]
    : ["no pixel differs"];
  if (size(one) !== size(other)) said.push(`sizes differ: ${size(other)} was scaled to ${size(one)}`);
  if (shrink < 1) said.push(`compared at ${DIFFERENCE_SIDE} pixels`);
  return said.join("; ");
}
