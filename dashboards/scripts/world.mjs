/**
 * The map of the world, made at build time from Natural Earth's borders (public
 * domain, in the package `world-atlas`): `import world from 'virtual:world'`.
 *
 * In: `countries-110m.json`, spherical, with ISO 3166-1 numbers. Out: a module
 *
 *   { width, height, countries: [["RU", "M1203 110l-3 4…z"], …] }
 *
 * in whole units of a drawing [`WIDTH`] wide; a country without a code has the
 * code "". The projection is Equal Earth, so that a large country is not made
 * larger, turned a little to the east so that Chukotka stays with Russia.
 * Antarctica is left out. Countries that the small scale does not have (islands,
 * city states) are not on the map; the list beside it has them.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { feature } from 'topojson-client';

const NAME = 'virtual:world';
const WIDTH = 2000;
/** The meridian in the middle, in degrees. */
const MIDDLE = 11;
/** Nobody lives beyond these, in degrees. */
const SOUTH = -56;
const NORTH = 83.7;
const ANTARCTICA = '010';
/** Rings smaller than this are not seen, in square units. */
const LEAST_AREA = 6;

/** The plugin of Vite that makes the module. */
export function world() {
  return {
    name: 'metka-world',
    resolveId: (id) => (id === NAME ? `\0${NAME}` : null),
    load: (id) => (id === `\0${NAME}` ? `export default ${JSON.stringify(draw())}` : null),
  };
}

export function draw() {
  const path = createRequire(import.meta.url).resolve('world-atlas/countries-110m.json');
  const atlas = JSON.parse(readFileSync(path, 'utf8'));
  const [left] = project(MIDDLE - 180, 0);
  const [right] = project(MIDDLE + 180, 0);
  const [, top] = project(MIDDLE, NORTH);
  const [, bottom] = project(MIDDLE, SOUTH);
  const scale = WIDTH / (right - left);
  const place = ([longitude, latitude]) => {
    const [x, y] = project(longitude, Math.max(latitude, SOUTH));
    return [Math.round((x - left) * scale), Math.round((top - y) * scale)];
  };
  const countries = feature(atlas, atlas.objects.countries)
    .features.filter(({ id }) => id !== ANTARCTICA)
    .map(({ id, geometry }) => {
      const polygons = geometry.type === 'Polygon' ? [geometry.coordinates] : geometry.coordinates;
      return [codeOf(id), polygons.flatMap((rings) => rings.map((ring) => line(unwrapped(ring).map(place)))).join('')];
    })
    .filter(([, shape]) => shape !== '')
    .sort(([one], [other]) => (one < other ? -1 : 1));
  return { width: WIDTH, height: Math.ceil((top - bottom) * scale), countries };
}

/** `RU` of `643`: languages are named with either, and the letters are the preferred ones. */
function codeOf(number) {
  if (number === undefined) return '';
  const region = new Intl.Locale(Intl.getCanonicalLocales(`und-${number}`)[0]).region ?? '';
  return /^[A-Z]{2}$/.test(region) ? region : '';
}

/** A ring that does not jump at the edge of the map. */
function unwrapped(ring) {
  let turn = 0;
  const whole = ring.map(([longitude, latitude], at) => {
    const step = at === 0 ? 0 : longitude - ring[at - 1][0];
    if (step > 180) turn -= 360;
    if (step < -180) turn += 360;
    return [longitude + turn, latitude];
  });
  const middle = whole.reduce((sum, [longitude]) => sum + longitude, 0) / whole.length - MIDDLE;
  const back = Math.round(middle / 360) * 360;
  return whole.map(([longitude, latitude]) => [longitude - back, latitude]);
}

/** Equal Earth, after Šavrič, Patterson and Jenny (2018). */
function project(longitude, latitude) {
  const [a1, a2, a3, a4] = [1.340264, -0.081106, 0.000893, 0.003796];
  const lambda = ((longitude - MIDDLE) * Math.PI) / 180;
  const t = Math.asin((Math.sqrt(3) / 2) * Math.sin((latitude * Math.PI) / 180));
  const t2 = t * t;
  const t6 = t2 * t2 * t2;
  const x = (2 * Math.sqrt(3) * lambda * Math.cos(t)) / (3 * (a1 + 3 * a2 * t2 + t6 * (7 * a3 + 9 * a4 * t2)));
  return [x, t * (a1 + a2 * t2 + t6 * (a3 + a4 * t2))];
}

/** A ring as a path of steps, without those of no length. */
function line(points) {
  if (Math.abs(area(points)) < LEAST_AREA) return '';
  let [x, y] = points[0];
  let text = `M${x} ${y}l`;
  for (const [nextX, nextY] of points.slice(1, -1)) {
    if (nextX === x && nextY === y) continue;
    text += `${text.endsWith('l') || nextX - x < 0 ? '' : ' '}${nextX - x}${nextY - y < 0 ? '' : ' '}${nextY - y}`;
    [x, y] = [nextX, nextY];
  }
  return `${text}z`;
}

function area(points) {
  return points.reduce((sum, [x, y], at) => {
    const [nextX, nextY] = points[(at + 1) % points.length];
    return sum + (x * nextY - nextX * y) / 2;
  }, 0);
}
