/** Made by scripts/world.mjs at build time. */
declare module 'virtual:world' {
  const world: {
    readonly width: number;
    readonly height: number;
    /** Code of the country, or "", and the path of its shape. */
    readonly countries: readonly (readonly [string, string])[];
  };
  export default world;
}
