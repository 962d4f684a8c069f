// Thread priorities. Pd may run with real-time priority, which the threads that it starts inherit.
#pragma once

#include <pthread.h>
#include <sched.h>

#include <algorithm>

namespace nn {

// For the worker: above ordinary programs if Pd is, but below Pd's audio.
inline void lower_worker_priority() {
    sched_param how{};
    int policy = SCHED_OTHER;
    if (pthread_getschedparam(pthread_self(), &policy, &how) != 0 || policy == SCHED_OTHER) return;
    how.sched_priority = std::max(how.sched_priority - 2, sched_get_priority_min(policy));
    pthread_setschedparam(pthread_self(), policy, &how);
}

// For loading and warming up: no real-time priority.
inline void use_normal_priority() {
    const sched_param how{};
    pthread_setschedparam(pthread_self(), SCHED_OTHER, &how);
}

}  // namespace nn
