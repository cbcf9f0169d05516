#!/usr/bin/env bash
# Converts a data set and trains on it as a recipe says: bench/recipes/METHOD/DATASET.conf, which is a --config file of
# strata-train with the conversion, the source and the published figure in its comments.
#
#   bench/recipe.sh METHOD/DATASET --input DIR [--work DIR] [--bin DIR] [-- options of strata-train ...]
#   bench/recipe.sh METHOD/DATASET --shape     the same on a small synthetic set of the data set's shape (shapes.txt)
#   bench/recipe.sh --list
#   bench/recipe.sh iglu/arxiv-transductive --input data/ogbn_arxiv --work /scratch -- --host-memory 2GiB --seed 3
#
# The store and the run lie in --work (.) as METHOD-DATASET.store and METHOD-DATASET.run; a store that is there is
# taken as it is. --bin: the folder of the programs (build/bin). Options behind -- win over the recipe's.
set -euo pipefail
recipes=$(cd "$(dirname "$0")" && pwd)/recipes

usage() { sed -n '2,11p' "$0" | sed 's/^# \{0,1\}//'; }
fail() {
  echo "recipe.sh: $1; see --help" >&2
  exit 2
}

name='' input='' work=. bin=$recipes/../../build/bin shape=
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --list) (cd "$recipes" && find . -name '*.conf' | sed 's|^\./||; s|\.conf$||' | sort); exit 0 ;;
    --shape) shape=yes; shift ;;
    --input | --work | --bin)
      [ $# -ge 2 ] || fail "$1 needs a folder"
      printf -v "${1#--}" %s "$2"
      shift 2
      ;;
    --) shift; break ;;
    -*) fail "unknown option $1" ;;
    *) [ -z "$name" ] || fail "a second recipe, $1"; name=$1; shift ;;
  esac
done
recipe=$recipes/$name.conf
[ -n "$name" ] || fail "no recipe named"
[ -f "$recipe" ] || fail "there is no recipe $name (--list names them)"
[ -n "$input$shape" ] || fail "--input is missing"

read -r -a convert < <(sed -n 's/^# convert: //p' "$recipe")
if [ -n "$shape" ]; then
  set_name=$(basename "$name")
  line=$(grep "^${set_name%-transductive}: " "$recipes/shapes.txt") || fail "shapes.txt has no line for $set_name"
  line=${line#*: }
  read -r -a options <<<"--from synthetic --undirected on ${line%%#*}"
  # What the recipe does to graph and features, without what only the real set has.
  for ((i = 0; i < ${#convert[@]}; i++)); do
    case ${convert[i]} in
      --from | --edge-features | --undirected) i=$((i + 1)) ;;
      *) options+=("${convert[i]}") ;;
    esac
  done
else
  options=("${convert[@]}" --input "$input")
fi

mkdir -p "$work"
store=$work/${name//\//-}.store
[ -e "$store" ] || "$bin/strata-convert" "${options[@]}" --output "$store"
exec "$bin/strata-train" --config "$recipe" --store "$store" --run "$work/${name//\//-}.run" "$@"
