import type { SelectHTMLAttributes, TextareaHTMLAttributes } from "react";
import { Field, type FieldProps } from "./primitives";

interface Own extends Omit<FieldProps, "children"> {
  change: (value: string) => void;
}

/** A labelled choice; its children are options. */
export function SelectField({
  label,
  hint,
  error,
  change,
  ...rest
}: Own & SelectHTMLAttributes<HTMLSelectElement>) {
  return (
    <Field label={label} hint={hint} error={error}>
      {({ id, describedBy }) => (
        <select
          id={id}
          aria-describedby={describedBy}
          onChange={(event) => change(event.target.value)}
          {...rest}
        />
      )}
    </Field>
  );
}

/** A labelled text of several lines. */
export function AreaField({
  label,
  hint,
  error,
  change,
  ...rest
}: Own & TextareaHTMLAttributes<HTMLTextAreaElement>) {
  return (
    <Field label={label} hint={hint} error={error}>
      {({ id, describedBy }) => (
        <textarea
          id={id}
          aria-describedby={describedBy}
          onChange={(event) => change(event.target.value)}
          {...rest}
        />
      )}
    </Field>
  );
}
