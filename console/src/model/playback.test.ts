import fc from "fast-check";
import { expect, test } from "vitest";
import { eventAtPlace, eventAtShare, SPEEDS, shareOf, trackOf } from "./playback";

const times = fc
  .array(fc.nat(600_000), { minLength: 1, maxLength: 60 })
  .map((gaps) => gaps.map((_, index) => gaps.slice(0, index).reduce((sum, gap) => sum + gap, 0)));

test("each event is found at its own place, folded or not, at every speed", () => {
  fc.assert(
    fc.property(times, fc.constantFrom(...SPEEDS), fc.boolean(), (given, speed, folded) => {
      const track = trackOf(given, speed, folded);
      for (let index = 0; index < given.length; index += 1) {
        const found = eventAtPlace(track, track.places[index] as number);
        expect(track.places[found]).toBe(track.places[index]);
        const near = eventAtShare(track, shareOf(track, index));
        if (track.length > 0) expect(track.places[near]).toBeCloseTo(track.places[index] ?? 0, 6);
        else expect(near).toBe(index);
      }
    }),
  );
});

test("a long wait is a notch, and a short one keeps its length", () => {
  const track = trackOf([0, 500, 3_600_500, 3_601_000], 1, true);
  expect([...track.places]).toEqual([0, 500, 900, 1_400]);
  expect(track.notches).toEqual([2]);
  expect(trackOf([0, 500, 3_600_500], 1, false).length).toBe(3_600_500);
  expect(trackOf([0, 90_000], 100, true).notches).toEqual([]);
});
