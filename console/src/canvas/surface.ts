/** A canvas that fills its element, sharp on any screen, drawn once a frame. */

import { type RefObject, useEffect, useRef } from "react";

export type Draw = (context: CanvasRenderingContext2D, width: number, height: number) => void;

/** Draw when `draw` changes and when the element is resized. */
export function useCanvas(canvas: RefObject<HTMLCanvasElement | null>, draw: Draw): void {
  const newest = useRef(draw);
  const request = useRef(() => {});
  useEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context) return;
    let frame = 0;
    const paint = () => {
      frame = 0;
      const scale = devicePixelRatio || 1;
      const { clientWidth: width, clientHeight: height } = element;
      const [wide, high] = [Math.round(width * scale), Math.round(height * scale)];
      if (element.width !== wide || element.height !== high) {
        element.width = wide;
        element.height = high;
      }
      context.setTransform(scale, 0, 0, scale, 0, 0);
      context.clearRect(0, 0, width, height);
      newest.current(context, width, height);
    };
    request.current = () => {
      frame ||= requestAnimationFrame(paint);
    };
    const observer = new ResizeObserver(request.current);
    observer.observe(element);
    void document.fonts.ready.then(request.current);
    return () => {
      observer.disconnect();
      cancelAnimationFrame(frame);
      request.current = () => {};
    };
  }, [canvas]);
  useEffect(() => {
    newest.current = draw;
    request.current();
  }, [draw]);
}
