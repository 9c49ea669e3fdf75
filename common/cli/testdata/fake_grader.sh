#!/bin/bash
# Speaks a grader's protocol without grading. How it behaves depends on the lab in its own name:
# NAME_grader. It has two checks of five points each.

for argument; do
  case $argument in
  --results=*) results=${argument#*=} ;;
  --submission=*) submission=${argument#*=} ;;
  --check=*) checks=${argument#*=} ;;
  --seed=*) seed=${argument#*=} ;;
  --mode=*) mode=${argument#*=} ;;
  --lang=*) lang=${argument#*=} ;;
  --counters=*) ;;
  --rubric=*) rubric=${argument#*=} ;;
  *) exit 2 ;;
  esac
done
lab=$(basename "$0" _grader)
echo "$$" >"$(dirname "$0")/pid"

line() {
  printf '%s\n' "$1" | tr -d '\n' >&"$results"
  echo >&"$results"
}

start() {
  line '{"type":"run","grader_version":"9.9","seed":'"$seed"',
    "isolation":{"mode":"'"${1:-full}"'","detail":"detail","fix":"mend it"},
    "exercises":[{"id":"'"$lab"'.1","name":"one","title":"Exercise","max_points":10},
      {"id":"'"$lab"'.2","name":"two","title":"Never checked","max_points":5}],
    "checks":[{"id":"A.One"},{"id":"A.Two"}]}'
}

check() { # ID STATUS POINTS OBSERVED [,MORE_FIELDS]
  case ,${checks-A.One,A.Two}, in *,$1,*) ;; *) return ;; esac
  line '{"type":"start","id":"'"$1"'"}'
  line '{"type":"check","id":"'"$1"'","exercise":"'"$lab"'.1","title":"Check '"$1"'",
    "status":"'"$2"'","points":'"$3"',"max_points":5,"verdict":"'"$2"'","expected":"",
    "observed":"'"$4"'","duration_ms":1'"${5-}"'}'
}

end() {
  line '{"type":"end","score":'"$1"',"max_score":'"$2"'}'
}

case $lab in
half)
  start
  magic=$(head -c 4 "$submission" | tail -c 3)
  [ -r "$rubric" ] || exit 1
  check A.One passed 5 ""
  check A.Two failed 0 "$magic seed=$seed mode=$mode lang=$lang env=$(env | sort | tr '\n' ' ')" \
    ',"timeline":[{"at_us":10,"pid":2,"process":"Reads","kind":"call","what":"read(3) ..."}]'
  end 5 10
  ;;
full)
  start
  check A.One passed 5 ""
  check A.Two passed 5 ""
  end 10 10
  ;;
practice)
  start practice
  check A.One passed 5 ""
  check A.Two not_graded 0 "no namespaces"
  end 5 10
  ;;
ungraded)
  start
  check A.One passed 5 ""
  check A.Two not_graded 0 "fork failed"
  end 5 10
  ;;
refuse)
  start practice
  line '{"type":"error","message":"cannot be confined","fix":"sudo mend"}'
  exit 3
  ;;
crash)
  start
  check A.One passed 5 ""
  line '{"type":"start","id":"A.Two"}'
  echo "about to crash" >&2
  kill -SEGV $$
  ;;
noend)
  start
  check A.One passed 5 ""
  check A.Two passed 5 ""
  ;;
status)
  start
  check A.One passed 5 ""
  end 5 10
  exit 7
  ;;
garbage)
  start
  printf 'PASSED \033[2J everything\n' >&"$results"
  end 100 100
  ;;
nothing)
  start
  end 0 0
  ;;
hang | deaf)
  [ "$lab" = hang ] || trap '' TERM
  start
  line '{"type":"start","id":"A.One"}'
  # Opening a FIFO waits until somebody opens the other end, and nobody does.
  mkfifo "$(dirname "$0")/fifo"
  while :; do
    read -r _ <"$(dirname "$0")/fifo"
  done
  ;;
esac
