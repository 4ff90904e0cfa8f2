# Holdfast on this machine; the data stays where it is between starts.
need_packages "${run_packages[@]}"
build_release -p holdfast
if [ "$(id -u)" -eq 0 ]; then data=/var/lib/holdfast; else data=${XDG_DATA_HOME:-$HOME/.local/share}/holdfast; fi
case " $* " in
*" --data-dir"*) exec target/release/holdfast up "$@" ;;
*) exec target/release/holdfast up --data-dir "$data" "$@" ;;
esac
