// The points as one WebGL2 draw call, fast enough for a million.

import { faintOpacity, pointOpacity, pointRadius } from "./paint.js";
import { SPLAT_SIZE, makeSplat } from "./splat.js";

const COSTLY = 50000; // points from which on a frame is worth saving time on

const VERTEX = `#version 300 es
in vec2 place;
in vec4 colour;
uniform vec2 scale, shift;
uniform float size, faint;
out vec4 tint;
void main() {
  bool isFaint = colour.a < 0.3;
  bool drawn = colour.a > 0.0 && isFaint == (faint > 0.5);
  gl_Position = drawn ? vec4(place * scale + shift, 0.0, 1.0) : vec4(2.0, 2.0, 2.0, 1.0);
  gl_PointSize = size;
  tint = colour;
}`;

// A disc with a soft edge; large ones have a rim in the background colour, so that overlapping ones stay distinct.
const FRAGMENT = `#version 300 es
precision highp float;
in vec4 tint;
uniform float size, opacity;
uniform vec3 paper;
out vec4 pixel;
void main() {
  float from = length(gl_PointCoord - 0.5) * size;
  float cover = clamp(size * 0.5 - from, 0.0, 1.0);
  if (cover <= 0.0) discard;
  float rim = clamp(from - size * 0.5 + 1.9, 0.0, 1.0) * smoothstep(9.0, 11.0, size) * step(0.5, tint.a);
  float alpha = tint.a * opacity * cover;
  pixel = vec4(mix(tint.rgb, paper, rim * 0.8) * alpha, alpha);
}`;

/** Returns a renderer of the points on a canvas, or null without WebGL2. */
export function makeWebgl(canvas, store, paint, state) {
  const gl = canvas.getContext("webgl2", { alpha: true, antialias: false, premultipliedAlpha: true, powerPreference: "high-performance" });
  if (!gl) return null;
  const emulated = isEmulated(gl);
  const points = arranged(store, scattered(store));
  const pace = makePace();
  let colours = null;
  let at = null;
  let texture = null;
  let picture = null; // the frame buffer with it
  let shown = null; // the view that was drawn last
  const splat = emulated && store.n >= COSTLY ? makeSplat(points.place, points.colour) : null;

  function prepare() {
    const program = linked(gl);
    attribute(gl, program, "place", 2, gl.UNSIGNED_SHORT, points.place);
    colours = attribute(gl, program, "colour", 4, gl.UNSIGNED_BYTE, points.colour);
    at = Object.fromEntries(["scale", "shift", "size", "faint", "opacity", "paper"].map((name) => [name, gl.getUniformLocation(program, name)]));
    gl.useProgram(program);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    texture = gl.createTexture();
    picture = gl.createFramebuffer();
    gl.bindTexture(gl.TEXTURE_2D, texture);
  }
  prepare();
  // A browser takes the context away from the oldest of many maps, and when the graphics driver starts anew.
  canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
  canvas.addEventListener("webglcontextrestored", () => {
    prepare();
    renderer.draw(shown);
  });

  function drawPoints(view, passes, share) {
    gl.viewport(0, 0, canvas.width, canvas.height);
    const { x0, y0, x1, y1 } = store.bounds;
    const across = (2 * view.scale) / view.width;
    const up = (2 * view.scale) / view.height;
    gl.uniform2f(at.scale, (x1 - x0) * across, (y1 - y0) * up);
    gl.uniform2f(at.shift, (x0 - view.x) * across, (y0 - view.y) * up);
    gl.uniform3fv(at.paper, state.values.dark ? [0.055, 0.063, 0.078] : [1, 1, 1]);
    for (const { faint, opacity, from, many, size } of passes) {
      gl.uniform1f(at.faint, faint ? 1 : 0);
      gl.uniform1f(at.opacity, opacity);
      gl.uniform1f(at.size, size * Math.min(1.6, 1 / Math.sqrt(share)));
      gl.drawArrays(gl.POINTS, from, Math.ceil(share * many));
    }
  }

  /** Draws all points by the processor, and puts them on the canvas as a picture. */
  function drawPixels(view, ratio, passes) {
    const { width, height } = canvas;
    const { x0, y0, x1, y1 } = store.bounds;
    const unit = view.scale * ratio;
    const scale = [((x1 - x0) * unit) / 65535, ((y1 - y0) * unit) / 65535];
    const shift = [(x0 - view.x) * unit + width / 2, (y0 - view.y) * unit + height / 2];
    splat.clear(width, height);
    for (const { from, many, ...pass } of passes) splat.draw({ from, to: from + many, ...pass, scale, shift });
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, width, height, 0, gl.RGBA, gl.UNSIGNED_BYTE, splat.pixels());
    gl.bindFramebuffer(gl.READ_FRAMEBUFFER, picture);
    gl.framebufferTexture2D(gl.READ_FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
    gl.blitFramebuffer(0, 0, width, height, 0, 0, width, height, gl.COLOR_BUFFER_BIT, gl.NEAREST);
    gl.bindFramebuffer(gl.READ_FRAMEBUFFER, null);
  }

  const renderer = {
    emulated,
    recolour() {
      gl.bindBuffer(gl.ARRAY_BUFFER, colours);
      points.recolour(paint);
      gl.bufferSubData(gl.ARRAY_BUFFER, 0, points.colour);
    },
    draw(view) {
      shown = view;
      const ratio = globalThis.devicePixelRatio || 1;
      const width = Math.round(view.width * ratio);
      const height = Math.round(view.height * ratio);
      if (canvas.width !== width || canvas.height !== height) {
        canvas.width = width;
        canvas.height = height;
      }
      const share = store.n < COSTLY ? 1 : pace(view.moving);
      const passes = [];
      for (const faint of paint.anyFaint ? [true, false] : [false]) {
        // Faint points keep their size among all points and get paler where they are dense.
        const count = faint ? store.n : paint.crowd;
        const opacity = faint ? faintOpacity(count, view) : pointOpacity(count, view);
        for (const [from, many, part] of [[0, store.noise, paint.noiseSize], [store.noise, store.n - store.noise, 1]]) {
          passes.push({ faint, opacity, from, many, size: Math.max(1.2, 2 * part * pointRadius(count, view) * ratio) });
        }
      }
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT); // also before a picture is copied: the browser's own clearing would follow it else
      if (splat && passes.every(({ size }) => size <= SPLAT_SIZE)) drawPixels(view, ratio, passes);
      else drawPoints(view, passes, share);
    },
    /** Waits until the frame is on the screen; used by benchmarks. */
    finish() {
      gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
    },
  };
  return renderer;
}

/** Returns whether WebGL is computed by the processor. */
function isEmulated(gl) {
  const named = gl.getExtension("WEBGL_debug_renderer_info");
  return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(gl.getParameter(named ? named.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
}

/** Returns an order of the points, noise first, in which every prefix is an even sample. */
function scattered({ n, noise }) {
  const order = new Uint32Array(n);
  const gcd = (a, b) => (b ? gcd(b, a % b) : a);
  for (const [from, count] of [[0, noise], [noise, n - noise]]) {
    let step = Math.max(1, Math.floor(count * 0.6180339887));
    while (gcd(step, count) > 1) step++;
    for (let k = 0, at = 0; k < count; k++, at = (at + step) % count) order[from + k] = from + at;
  }
  return order;
}

/** Returns the positions and colours of the points in an order, and `recolour(paint)`. */
function arranged({ n, qx, qy }, order) {
  const place = new Uint16Array(2 * n);
  for (let k = 0; k < n; k++) {
    place[2 * k] = qx[order[k]];
    place[2 * k + 1] = qy[order[k]];
  }
  const colour = new Uint32Array(n);
  let spot = null; // point → its place in the order
  return {
    place, colour,
    recolour({ rgba, changed }) {
      const from = new Uint32Array(rgba.buffer);
      if (!changed) {
        for (let k = 0; k < n; k++) colour[k] = from[order[k]];
        return;
      }
      if (!spot) {
        spot = new Uint32Array(n);
        for (let k = 0; k < n; k++) spot[order[k]] = k;
      }
      for (let k = 0; k < changed.length; k++) colour[spot[changed[k]]] = from[changed[k]];
    },
  };
}

/** Returns the share of the points to draw: all at rest; while the map moves, as many as the frame time allows. */
function makePace() {
  let share = 1;
  let last = 0;
  return (moving) => {
    const now = performance.now();
    const gap = now - last;
    last = now;
    if (!moving) return 1;
    if (gap > 45 && gap < 2000) share = Math.max(0.03, share * Math.max(0.4, 32 / gap));
    else if (gap < 24) share = Math.min(1, share * 1.15);
    return share;
  };
}

function linked(gl) {
  const program = gl.createProgram();
  for (const [type, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(type);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
  return program;
}

/** Uploads an attribute of normalised integers; returns the buffer. */
function attribute(gl, program, name, size, type, data) {
  const buffer = gl.createBuffer();
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.bufferData(gl.ARRAY_BUFFER, data, gl.DYNAMIC_DRAW);
  const location = gl.getAttribLocation(program, name);
  gl.enableVertexAttribArray(location);
  gl.vertexAttribPointer(location, size, type, true, 0, 0);
  return buffer;
}
