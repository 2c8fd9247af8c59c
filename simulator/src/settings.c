/* Answers that the scenario sets, sensible or not. */
#include "model.h"

static const Fault *in_force(const View *view, Setting setting) {
    for (size_t i = view->scenario->fault_count; i-- > 0;) {
        const Fault *fault = &view->scenario->faults[i];
        if (fault->kind == FAULT_SET && fault->setting == setting && fault_touches(fault, view) &&
            fault_active(fault, view->t))
            return fault;
    }
    return NULL;
}

uint64_t model_settled(const View *view, Setting setting, uint64_t otherwise) {
    const Fault *fault = in_force(view, setting);
    return fault != NULL ? fault->set_to : otherwise;
}
