# Prints what a bench says as it comes, and last one line, its verdict: that of the bench, PASS only if it says so once, with the
# words that it has compared and the cycles, and ends with status 0. usage: { BENCH; echo "status $?"; } | sh verdict.sh NAME
# Exit code: 0 after PASS, 1 after FAIL.
verdict="" verdicts=0 status=""
while IFS= read -r line; do
    case $line in
    PASS* | FAIL*)
        case $verdict in "FAIL "*) ;; *) verdict=$line ;; esac
        verdicts=$((verdicts + 1))
        ;;
    "status "*) status=${line#status } ;;
    *) printf '%s\n' "$line" ;;
    esac
done
case $status:$verdicts:$verdict in
"0:1:PASS words="[1-9]*" cycles="[1-9]*) printf '%s\n' "$verdict" && exit 0 ;;
*:"FAIL "*) printf '%s\n' "$verdict" ;;
*) printf 'FAIL %s ends with status %s and %s verdicts\n' "$1" "$status" "$verdicts" ;;
esac
exit 1
