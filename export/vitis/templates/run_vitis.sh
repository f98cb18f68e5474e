#!/bin/sh
# Component flow of a current Vitis: sh run_vitis.sh [STEP …], steps of: $steps.
# Default: $default_steps; all but csim need an earlier synthesis. PCEDGE_TOPS chooses some of: $tops.
# vitis-run and v++ must be on PATH, as settings64.sh of the installation puts them.
set -e
for tool in vitis-run v++; do
  command -v "$$tool" > /dev/null || { echo "$$tool must be on PATH: source settings64.sh of a Vitis installation" >&2; exit 3; }
done
cd "$$(dirname "$$0")"
[ $$# -gt 0 ] || set -- $default_steps
for top in $${PCEDGE_TOPS:-$tops}; do
  for step in "$$@"; do
    echo "$$top: $$step"
    (
      cd "components/$$top"
      case "$$step" in
$cases
        *) echo "a step must be one of: $steps, got $$step" >&2; exit 2 ;;
      esac
    )
  done
done
