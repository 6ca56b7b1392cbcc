import { Check } from "lucide-react";
import { DropdownMenu } from "radix-ui";
import type { ReactNode } from "react";
import styles from "./menu.module.css";

interface MenuProps {
  trigger: ReactNode;
  label: string;
  children: ReactNode;
  align?: "start" | "end";
  /** Whether it is open, for a menu that is opened by a key too. */
  open?: boolean;
  /** Whether it is open at first. */
  defaultOpen?: boolean;
  onOpenChange?: (open: boolean) => void;
}

/** A menu below its trigger; arrow keys, letters and Escape work as in menus of the system. */
export function Menu({ trigger, label, children, align = "end", ...root }: MenuProps) {
  return (
    <DropdownMenu.Root modal={false} {...root}>
      <DropdownMenu.Trigger asChild>{trigger}</DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content
          className={styles.menu}
          align={align}
          sideOffset={4}
          collisionPadding={8}
          aria-label={label}
        >
          {children}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

interface ItemProps {
  children: ReactNode;
  onSelect: () => void;
  icon?: ReactNode;
  danger?: boolean;
  /** The reason for which it cannot be done now. */
  refused?: string | undefined;
}

export function MenuItem({ children, onSelect, icon, danger, refused }: ItemProps) {
  return (
    <DropdownMenu.Item
      className={styles.item}
      data-danger={danger || undefined}
      disabled={!!refused}
      onSelect={onSelect}
    >
      <span className={styles.icon}>{icon}</span>
      <span>
        {children}
        {refused && <small>{refused}</small>}
      </span>
    </DropdownMenu.Item>
  );
}

interface CheckProps {
  children: ReactNode;
  checked: boolean;
  disabled?: boolean | undefined;
  onChange: () => void;
}

export function MenuCheck({ children, checked, disabled, onChange }: CheckProps) {
  return (
    <DropdownMenu.CheckboxItem
      className={styles.item}
      checked={checked}
      disabled={disabled}
      onCheckedChange={onChange}
      onSelect={(event) => event.preventDefault()}
    >
      <span className={styles.icon}>{checked && <Check size={14} aria-hidden />}</span>
      <span>{children}</span>
    </DropdownMenu.CheckboxItem>
  );
}

export function MenuLine() {
  return <DropdownMenu.Separator className={styles.line} />;
}
