/* Says whether a scenario file is valid, as the library would judge it. */
#include "scenario.h"

#include <stdio.h>

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: check-scenario FILE\n");
        return 2;
    }
    char error[1024];
    Scenario *scenario = scenario_from_file(argv[1], error, sizeof error);
    if (scenario == NULL) {
        fprintf(stderr, "%s\n", error);
        return 2;
    }
    printf("%s: ok, %u GPU%s\n", argv[1], scenario->gpu_count, scenario->gpu_count == 1 ? "" : "s");
    scenario_free(scenario);
    return 0;
}
