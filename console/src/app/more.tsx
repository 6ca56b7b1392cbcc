/** The pages that have no place of their own on a phone. */

import { Link } from "@tanstack/react-router";
import { Search } from "lucide-react";
import { Dialog } from "@/design/primitives";
import { say } from "@/model/messages";
import styles from "./more.module.css";
import { DESTINATIONS, FURTHER } from "./navigation";

interface Props {
  close: () => void;
  search: () => void;
}

export default function More({ close, search }: Props) {
  const places = [...DESTINATIONS.filter((each) => !each.phone), ...FURTHER];
  const find = () => {
    close();
    search();
  };
  return (
    <Dialog title={say("shell.more")} open onClose={close}>
      <button type="button" className={styles.entry} onClick={find}>
        <Search size={16} aria-hidden />
        {say("shell.search")}
      </button>
      <ul className={styles.places}>
        {places.map(({ to, label, icon: Icon }) => (
          <li key={to}>
            <Link to={to} className={styles.entry} onClick={close}>
              <Icon size={16} aria-hidden />
              {label}
            </Link>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
