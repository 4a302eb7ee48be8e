// Runs a small decoder network. One self-contained function, so that a worker can be made from its source.

/** Returns `run(z)` → Float32Array, for layers with their weights in `bytes`. */
export function network(bytes, layers) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

  function half(at) {
    const bits = view.getUint16(at, true);
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    if (exponent === 0) return sign * 2 ** -24 * fraction;
    return exponent === 31 ? sign * Infinity : sign * 2 ** (exponent - 25) * (1024 + fraction);
  }
  const halves = (at, count) => Float32Array.from({ length: count }, (_, k) => half(at + 2 * k));

  /** Returns a layer's weights, and its bias or null. */
  function read(layer) {
    const { size, type } = layer;
    const count = size.reduce((a, b) => a * b, 1);
    const axis = type === "conv_transpose2d" ? 1 : 0;
    const outputs = size[axis];
    let at = layer.at;
    let weight;
    if (layer.half) {
      weight = halves(at, count);
      at += 2 * count;
    } else {
      const scale = Float32Array.from({ length: outputs }, (_, k) => view.getFloat32(at + 4 * k, true));
      at += 4 * outputs;
      const inner = size.slice(axis + 1).reduce((a, b) => a * b, 1);
      weight = Float32Array.from({ length: count }, (_, k) => view.getInt8(at + k) * scale[Math.floor(k / inner) % outputs]);
      at += count;
    }
    return { weight, bias: layer.bias ? halves(at, outputs) : null };
  }

  function linear({ size: [outs, ins] }, { weight, bias }, x) {
    const y = new Float32Array(outs);
    for (let o = 0, k = 0; o < outs; o++) {
      let sum = bias ? bias[o] : 0;
      for (let i = 0; i < ins; i++) sum += weight[k++] * x.data[i];
      y[o] = sum;
    }
    return { data: y, shape: [outs] };
  }

  function transposed(layer, { weight, bias }, x) {
    const [ins, outs, kh, kw] = layer.size;
    const [sy, sx] = layer.stride;
    const [py, px] = layer.padding;
    const [, h, w] = x.shape;
    const height = (h - 1) * sy - 2 * py + kh + layer.output_padding[0];
    const width = (w - 1) * sx - 2 * px + kw + layer.output_padding[1];
    const y = new Float32Array(outs * height * width);
    if (bias) for (let o = 0; o < outs; o++) y.fill(bias[o], o * height * width, (o + 1) * height * width);
    for (let i = 0; i < ins; i++) {
      for (let o = 0; o < outs; o++) {
        for (let a = 0; a < kh; a++) {
          for (let b = 0; b < kw; b++) {
            const f = weight[((i * outs + o) * kh + a) * kw + b];
            const first = Math.max(0, Math.ceil((px - b) / sx));
            const last = Math.min(w - 1, Math.floor((width - 1 + px - b) / sx));
            for (let r = 0; r < h; r++) {
              const row = r * sy + a - py;
              if (row < 0 || row >= height) continue;
              const from = (i * h + r) * w;
              let to = (o * height + row) * width + first * sx + b - px;
              for (let c = first; c <= last; c++, to += sx) y[to] += f * x.data[from + c];
            }
          }
        }
      }
    }
    return { data: y, shape: [outs, height, width] };
  }

  function convolved(layer, { weight, bias }, x) {
    const [outs, ins, kh, kw] = layer.size;
    const [sy, sx] = layer.stride;
    const [py, px] = layer.padding;
    const [, h, w] = x.shape;
    const height = Math.floor((h + 2 * py - kh) / sy) + 1;
    const width = Math.floor((w + 2 * px - kw) / sx) + 1;
    const y = new Float32Array(outs * height * width);
    for (let o = 0; o < outs; o++) {
      if (bias) y.fill(bias[o], o * height * width, (o + 1) * height * width);
      for (let i = 0; i < ins; i++) {
        for (let a = 0; a < kh; a++) {
          for (let b = 0; b < kw; b++) {
            const f = weight[((o * ins + i) * kh + a) * kw + b];
            for (let r = 0; r < height; r++) {
              const row = r * sy + a - py;
              if (row < 0 || row >= h) continue;
              for (let c = 0; c < width; c++) {
                const column = c * sx + b - px;
                if (column >= 0 && column < w) y[(o * height + r) * width + c] += f * x.data[(i * h + row) * w + column];
              }
            }
          }
        }
      }
    }
    return { data: y, shape: [outs, height, width] };
  }

  function affine(_, { weight, bias }, x) {
    const size = x.data.length / weight.length;
    return { data: x.data.map((v, k) => v * weight[Math.floor(k / size)] + bias[Math.floor(k / size)]), shape: x.shape };
  }

  function upsample({ scale: [sy, sx] }, _, x) {
    const [c, h, w] = x.shape;
    const y = new Float32Array(c * h * sy * w * sx);
    for (let k = 0, p = 0; p < c; p++)
      for (let r = 0; r < h * sy; r++)
        for (let q = 0; q < w * sx; q++) y[k++] = x.data[(p * h + Math.floor(r / sy)) * w + Math.floor(q / sx)];
    return { data: y, shape: [c, h * sy, w * sx] };
  }

  const sigmoid = (v) => 1 / (1 + Math.exp(-v));
  // The error function, Abramowitz and Stegun 7.1.26, accurate to 1.5e-7.
  const erf = (v) => {
    const t = 1 / (1 + 0.3275911 * Math.abs(v));
    const p = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
    return Math.sign(v) * (1 - p * Math.exp(-v * v));
  };
  const pointwise = {
    silu: (v) => v * sigmoid(v),
    relu: (v) => Math.max(0, v),
    gelu: (v) => 0.5 * v * (1 + erf(v / Math.SQRT2)),
    elu: (v) => (v > 0 ? v : Math.expm1(v)),
    tanh: Math.tanh,
    sigmoid,
    softplus: (v) => Math.max(v, 0) + Math.log1p(Math.exp(-Math.abs(v))),
  };
  const weighted = { linear, conv_transpose2d: transposed, conv2d: convolved, affine };
  const steps = layers.map((layer) => {
    if (weighted[layer.type]) {
      const parameters = read(layer);
      return (x) => weighted[layer.type](layer, parameters, x);
    }
    if (layer.type === "upsample") return (x) => upsample(layer, null, x);
    if (layer.type === "reshape") return (x) => ({ data: x.data, shape: layer.shape });
    const f = layer.type === "leaky_relu" ? (v) => (v > 0 ? v : layer.slope * v) : pointwise[layer.type];
    return (x) => ({ data: x.data.map(f), shape: x.shape });
  });
  return (z) => steps.reduce((x, step) => step(x), { data: z, shape: [z.length] }).data;
}

/** Returns `decode(z)`, a promise of pixels: in a worker if the browser allows one, else in the page. */
export function startNetwork(bytes, layers) {
  const here = () => {
    const run = network(bytes, layers);
    return async (z) => run(z);
  };
  try {
    const source = `${network}\nlet run;\nonmessage = ({ data }) => {\n  if (data.layers) run = network(data.bytes, data.layers);\n  else postMessage({ id: data.id, pixels: run(data.z) });\n};`;
    const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    const worker = new Worker(address);
    const waiting = new Map();
    let fallback = null;
    let count = 0;
    worker.onmessage = ({ data }) => {
      waiting.get(data.id)?.resolve(data.pixels);
      waiting.delete(data.id);
    };
    worker.onerror = () => {
      fallback ??= here();
      for (const { z, resolve } of waiting.values()) fallback(z).then(resolve);
      waiting.clear();
    };
    worker.postMessage({ bytes, layers });
    return (z) => {
      if (fallback) return fallback(z);
      return new Promise((resolve) => {
        waiting.set(++count, { z, resolve });
        worker.postMessage({ id: count, z });
      });
    };
  } catch {
    return here();
  }
}
